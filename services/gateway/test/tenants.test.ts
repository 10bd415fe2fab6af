import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { ApiKeyWithText } from '@edgesmith/contract/api-key'
import type { Problem } from '@edgesmith/contract/problem'
import { maximumProjects, type Project, type ProjectList } from '@edgesmith/contract/tenant'
import type { Tenant, TenantPage } from '@edgesmith/contract/tenant'
import { RecordCache } from '@edgesmith/identity/record-cache'
import { Tenants } from '@edgesmith/identity/tenants'
import { removeUpload } from '@edgesmith/retention/remove-upload'
import { findUpload } from '@edgesmith/uploads/uploads'
import { projectPrefix } from '@edgesmith/store/project-stores'
import { noVersion, writeVersioned } from '@edgesmith/store/versioned-json'
import { fetch as asOperator, fetchWith } from '../../../test/support/as-operator.ts'
import { fleetBuild, fleetTemplate, sitesOf } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

type Client = typeof globalThis.fetch

const buildArguments = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }
const spec = { canvos: { tag: 'v4.9.36' }, arguments: buildArguments }
const fleet = { build: fleetBuild, userDataTemplate: fleetTemplate, sites: sitesOf(1) }

describe('Tenants and projects of the API', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  let tenants: Tenants

  before(async () => {
    harness = stack.use(await startHarness())
    const onError = (error: Error) => {
      throw error
    }
    const redis = stack.adopt(
      openRedis(harness.redisUrl, { patience: 'brief', name: 'test', onError }),
      closeRedis,
    )
    tenants = new Tenants({ store: harness.stores.whole, cache: new RecordCache(redis) })
  })
  after(() => stack.disposeAsync())

  const send = (
    client: Client,
    method: string,
    path: string,
    body?: object,
    project?: string,
  ): Promise<Response> =>
    client(`${harness.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(project === undefined ? {} : { 'edgesmith-project': project }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  async function expect<T>(status: number, asked: Promise<Response>): Promise<T> {
    const response = await asked
    assert.equal(response.status, status, await response.clone().text())
    return (status === 204 ? undefined : await response.json()) as T
  }
  async function refusal(asked: Promise<Response>): Promise<string> {
    const response = await asked
    const { type, detail = '' } = (await response.json()) as Problem
    return `${response.status} ${type.replace(/^.*:/, '')}: ${detail}`
  }
  async function keyOf(tenant: string, more: object = {}): Promise<Client> {
    const wanted = { name: tenant, role: 'admin', tenant, ...more }
    const { key } = await expect<ApiKeyWithText>(201, send(asOperator, 'POST', '/v1/keys', wanted))
    return fetchWith({ authorization: `Bearer ${key}` })
  }
  const makeTenant = (id: string, more: object = {}) =>
    expect<Tenant>(201, send(asOperator, 'POST', '/v1/tenants', { id, name: id.toUpperCase(), ...more }))
  const makeProject = (client: Client, id: string) =>
    expect<Project>(201, send(client, 'POST', '/v1/projects', { id }))
  const objectsOf = async (tenant: string, project: string) =>
    (await Array.fromAsync(harness.stores.whole.list(projectPrefix({ tenant, project })))).map(
      ({ key }) => key,
    )

  it('are made: a tenant by the operator, its projects by its admin', async () => {
    const response = await send(asOperator, 'POST', '/v1/tenants', { id: 'made', name: 'Made' })
    assert.equal(response.headers.get('location'), '/v1/tenants/made')
    const tenant = (await response.json()) as Tenant
    assert.deepEqual(
      [tenant.id, tenant.name, tenant.weight, tenant.limits, tenant.projects.map(({ id }) => id)],
      ['made', 'Made', 10, {}, ['default']],
    )
    assert.match(
      await refusal(send(asOperator, 'POST', '/v1/tenants', { id: 'made', name: 'x' })),
      /^409 tenant-exists/,
    )
    const admin = await keyOf('made')
    const made = await send(admin, 'POST', '/v1/projects', { id: 'stores', name: 'Stores' })
    assert.equal(made.headers.get('location'), '/v1/projects/stores')
    const project = (await made.json()) as Project
    assert.deepEqual([project.id, project.name], ['stores', 'Stores'])
    assert.match(await refusal(send(admin, 'POST', '/v1/projects', { id: 'stores' })), /^409 project-exists/)
    assert.deepEqual(await expect(200, admin(`${harness.url}/v1/projects/stores`)), project)
    const { items } = await expect<ProjectList>(200, admin(`${harness.url}/v1/projects`))
    assert.deepEqual(items, [tenant.projects[0], project])
    // It is another tenant's, and a key of one project sees that one.
    assert.match(await refusal(asOperator(`${harness.url}/v1/projects/stores`)), /^404 project-not-found/)
    const bound = await keyOf('made', { project: 'stores' })
    assert.deepEqual(await expect(200, bound(`${harness.url}/v1/projects`)), { items: [project] })
    assert.match(await refusal(bound(`${harness.url}/v1/projects/default`)), /^404 project-not-found/)
    assert.deepEqual(
      (await expect<Tenant>(200, asOperator(`${harness.url}/v1/tenants/made`))).projects,
      items,
    )
  })

  it('are changed in their limits and weights, with effect', async () => {
    await makeTenant('small', { limits: { queuedBuilds: 1 }, weight: 5 })
    const admin = await keyOf('small')
    const submit = () => send(admin, 'POST', '/v1/builds', spec)
    await expect(202, submit())
    assert.match(await refusal(submit()), /^429 queue-full/)
    const change = (body: object) => send(asOperator, 'PATCH', '/v1/tenants/small', body)
    const changed = await expect<Tenant>(200, change({ limits: { queuedBuilds: 2, runningBuilds: 3 } }))
    assert.deepEqual(
      [changed.name, changed.weight, changed.limits],
      ['SMALL', 5, { queuedBuilds: 2, runningBuilds: 3 }],
    )
    await expect(202, submit())
    assert.match(await refusal(submit()), /^429 queue-full/)
    assert.deepEqual((await expect<Tenant>(200, change({ limits: {}, weight: 20 }))).limits, {})
    await expect(202, submit())
    assert.match(await refusal(change({})), /^422 invalid-body/)
    assert.match(await refusal(change({ weight: 101 })), /^422 invalid-body/)
    const other = send(asOperator, 'PATCH', '/v1/tenants/nobody', { weight: 2 })
    assert.match(await refusal(other), /^404 tenant-not-found/)
  })

  it('are listed in pages', async () => {
    for (const id of ['page-1', 'page', 'page-2']) await makeTenant(id)
    const ids: string[] = []
    let cursor: string | undefined
    do {
      const query: string = cursor === undefined ? '' : `&cursor=${cursor}`
      const asked = asOperator(`${harness.url}/v1/tenants?limit=2${query}`)
      const page = await expect<TenantPage>(200, asked)
      assert.ok(page.items.length <= 2)
      ids.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    assert.deepEqual(ids, [...ids].sort())
    for (const id of ['default', 'page', 'page-1', 'page-2']) assert.ok(ids.includes(id))
  })

  describe('that hold something are not removed:', () => {
    const remove = (client: Client, path: string) => async (project: string) => {
      await expect(204, send(client, 'DELETE', path, undefined, project))
    }
    /** Puts something into a project; what comes back takes it out. */
    const fillers: Record<
      string,
      (admin: Client, project: string) => Promise<(project: string) => Promise<void>>
    > = {
      builds: async (admin, project) => {
        const { id } = await expect<{ id: string }>(202, send(admin, 'POST', '/v1/builds', spec, project))
        await expect(202, send(admin, 'POST', `/v1/builds/${id}/cancel`, undefined, project))
        return remove(admin, `/v1/builds/${id}`)
      },
      secrets: async (admin, project) => {
        const body = { kind: 'opaque', value: 'nobody guesses' }
        await expect(201, send(admin, 'PUT', '/v1/secrets/one', body, project))
        return remove(admin, '/v1/secrets/one')
      },
      uploads: async (admin, project) => {
        const headers = { 'content-type': 'application/octet-stream', 'edgesmith-project': project }
        const sent = admin(`${harness.url}/v1/uploads`, { method: 'POST', headers, body: 'some bytes' })
        const { id } = await expect<{ id: string }>(201, sent)
        return async () => {
          // As retention does it, once nobody has used it for long.
          const store = harness.stores.of({ tenant: 'with-uploads', project })
          const objectKey = (await findUpload(store, id))?.objectKey ?? ''
          assert.ok(await removeUpload(store, { id, objectKey, unusedSince: new Date() }))
        }
      },
      'unfinished uploads': async (admin, project) => {
        const tus = { 'tus-resumable': '1.0.0', 'upload-length': '10', 'edgesmith-project': project }
        const begun = await admin(`${harness.url}/v1/uploads/resumable`, { method: 'POST', headers: tus })
        assert.equal(begun.status, 201)
        const url = new URL(begun.headers.get('location') ?? '', harness.url)
        return async () => {
          assert.equal((await admin(url, { method: 'DELETE', headers: tus })).status, 204)
        }
      },
      fleets: async (admin, project) => {
        const asked = send(admin, 'POST', '/v1/fleets', fleet, project)
        const { id } = await expect<{ id: string }>(202, asked)
        await expect(202, send(admin, 'POST', `/v1/fleets/${id}/cancel`, undefined, project))
        return async () => {
          // Nobody works on its builds here: they are canceled one by one.
          const list = send(admin, 'GET', '/v1/builds', undefined, project)
          for (const build of (await expect<{ items: { id: string; state: string }[] }>(200, list)).items) {
            if (build.state === 'queued')
              await expect(202, send(admin, 'POST', `/v1/builds/${build.id}/cancel`, undefined, project))
          }
          await remove(admin, `/v1/fleets/${id}`)(project)
        }
      },
    }
    for (const [what, fill] of Object.entries(fillers)) {
      it(what, async () => {
        const id = `with-${what.replace(' ', '-')}`
        await makeTenant(id)
        const admin = await keyOf(id)
        await makeProject(admin, 'full')
        const bound = await keyOf(id, { project: 'full' })
        const takeOut = await fill(admin, 'full')
        const removal = () => send(admin, 'DELETE', '/v1/projects/full')
        assert.match(await refusal(removal()), new RegExp(`^409 project-in-use: .* holds .*${what}`))
        const ofTenant = await refusal(send(asOperator, 'DELETE', `/v1/tenants/${id}`))
        assert.match(ofTenant, /^409 tenant-in-use: .*: full\./)
        // It goes on as before.
        await expect(200, send(bound, 'GET', '/v1/builds'))
        await takeOut('full')
        await expect(204, removal())
        assert.deepEqual(await objectsOf(id, 'full'), [])
        assert.match(await refusal(send(bound, 'GET', '/v1/whoami')), /^404 project-not-found/)
        assert.match(await refusal(removal()), /^404 project-not-found/)
      })
    }
  })

  it('whose removal broke off stay closed, and are removed the next time', async () => {
    await makeTenant('broken')
    const admin = await keyOf('broken')
    await makeProject(admin, 'closing')
    const bound = await keyOf('broken', { project: 'closing' })
    await tenants.markProject({ tenant: 'broken', project: 'closing' }, { removing: true })
    assert.match(await refusal(send(bound, 'GET', '/v1/builds')), /^404 project-not-found/)
    assert.match(await refusal(send(admin, 'POST', '/v1/builds', spec, 'closing')), /^404 project-not-found/)
    assert.equal((await expect<Project>(200, send(admin, 'GET', '/v1/projects/closing'))).removing, true)
    const key = { name: 'x', role: 'viewer', project: 'closing' }
    assert.match(await refusal(send(admin, 'POST', '/v1/keys', key)), /^404 project-not-found/)
    await expect(204, send(admin, 'DELETE', '/v1/projects/closing'))
    assert.match(await refusal(send(admin, 'GET', '/v1/projects/closing')), /^404 project-not-found/)
  })

  it('are gone for good, with their credentials, but for default', async () => {
    await makeTenant('brief')
    const admin = await keyOf('brief')
    await makeProject(admin, 'one')
    const policies = admin(`${harness.url}/v1/retention/policies`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': '"0"' },
      body: JSON.stringify({ policies: [{ name: 'all', keep: { maxCount: 1 } }] }),
    })
    await expect(200, policies)
    assert.notDeepEqual(await objectsOf('brief', 'default'), [])
    assert.match(await refusal(send(admin, 'DELETE', '/v1/projects/default')), /^409 project-in-use/)
    await expect(204, send(asOperator, 'DELETE', '/v1/tenants/brief'))
    assert.deepEqual(await objectsOf('brief', 'default'), [])
    assert.match(
      await refusal(send(admin, 'GET', '/v1/whoami')),
      /^401 unauthorized: The tenant brief is gone/,
    )
    assert.match(await refusal(send(asOperator, 'GET', '/v1/tenants/brief')), /^404 tenant-not-found/)
    assert.match(
      await refusal(send(asOperator, 'POST', '/v1/tenants', { id: 'brief', name: 'x' })),
      /^409 tenant-exists/,
    )
    assert.match(await refusal(send(asOperator, 'DELETE', '/v1/tenants/default')), /^409 tenant-in-use/)
    await expect(200, send(asOperator, 'GET', '/v1/whoami'))
  })

  it('are as many as their tenant may have', async () => {
    const createdAt = new Date().toISOString()
    const projects = Array.from({ length: maximumProjects }, (_, index) => ({ id: `p-${index}`, createdAt }))
    const tenant = { id: 'full', name: 'Full', weight: 10, limits: {}, projects, createdAt }
    await writeVersioned(harness.stores.whole, 'identity/tenants/full/', {
      value: { tenant },
      version: noVersion,
    })
    const admin = await keyOf('full', { project: undefined })
    const one = (method: string, path: string, body?: object) => send(admin, method, path, body, 'p-0')
    assert.match(await refusal(one('POST', '/v1/projects', { id: 'more' })), /^409 too-many-projects/)
    await expect(204, one('DELETE', '/v1/projects/p-7'))
    await expect(201, one('POST', '/v1/projects', { id: 'more' }))
  })
})
