import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { Artifact, DownloadUrl } from '@edgesmith/contract/artifact'
import type { Build, BuildPage } from '@edgesmith/contract/build'
import type { Fleet, FleetPage } from '@edgesmith/contract/fleet'
import type { Problem } from '@edgesmith/contract/problem'
import type { RetentionReport } from '@edgesmith/contract/retention'
import type { Upload } from '@edgesmith/contract/upload'
import type { ValidationResult } from '@edgesmith/contract/validation'
import { RecordCache } from '@edgesmith/identity/record-cache'
import { Tenants } from '@edgesmith/identity/tenants'
import { forwardedHeaders } from '@edgesmith/service/forwarded-principal'
import { findUpload } from '@edgesmith/uploads/uploads'
import { scopesOfRole } from '@edgesmith/contract/access'
import { fetch } from '../../../test/support/as-operator.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { fleetBuild, fleetTemplate, sitesOf } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

const argumentsOfAll = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }
const spec = { canvos: { tag: 'v4.9.36' }, arguments: argumentsOfAll }
const tus = { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream' }

describe('a project', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  before(async () => {
    harness = stack.use(await startHarness())
    const onError = (error: Error) => {
      throw error
    }
    await using own = new AsyncDisposableStack()
    const redis = own.adopt(
      openRedis(harness.redisUrl, { patience: 'brief', name: 'test', onError }),
      closeRedis,
    )
    const tenants = new Tenants({ store: harness.stores.whole, cache: new RecordCache(redis) })
    await tenants.addProject({ tenant: ownProject.tenant, project: 'other' })
  })
  after(() => stack.disposeAsync())

  type Init = { method?: string; headers?: Record<string, string>; body?: string }
  /** A client that acts in a project. */
  const clientOf =
    (project: string) =>
    (path: string, { headers = {}, ...init }: Init = {}) =>
      fetch(`${harness.url}${path}`, { ...init, headers: { 'edgesmith-project': project, ...headers } })
  const own = clientOf(ownProject.project)
  const other = clientOf('other')
  type Client = typeof own

  const json = (body: object, headers: Record<string, string> = {}): Init => ({
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const answer = async <T>(response: Promise<Response>, status: number): Promise<T> => {
    const received = await response
    assert.equal(received.status, status, await received.clone().text())
    return (await received.json()) as T
  }
  const assertProblem = async (response: Promise<Response>, status: number, code: string) => {
    const { type } = await answer<Problem>(response, status)
    assert.equal(type, `urn:edgesmith:problem:${code}`)
  }
  const upload = (client: Client, content: string) =>
    client('/v1/uploads', {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: content,
    })
  const submit = (client: Client, more: object = {}, headers: Record<string, string> = {}) =>
    answer<Build>(client('/v1/builds', json({ ...spec, ...more }, headers)), 202)

  it('has uploads of its own, of equal content as well', async () => {
    const content = '#cloud-config\nstylus:\n  site:\n    name: one\n'
    const { id } = await answer<Upload>(upload(own, content), 201)
    await assertProblem(other(`/v1/uploads/${id}`), 404, 'upload-not-found')
    const referring = { ...spec, inputs: { userData: { upload: id } } }
    const { diagnostics } = await answer<ValidationResult>(other('/v1/validations', json(referring)), 200)
    assert.ok(diagnostics.some(({ code }) => code === 'input.upload-not-found'))
    await assertProblem(other('/v1/builds', json(referring)), 422, 'invalid-input')
    const table = { build: fleetBuild, userDataTemplate: fleetTemplate, sitesTable: { upload: id } }
    await assertProblem(other('/v1/fleets', json(table)), 422, 'invalid-body')

    // Nothing tells that another project has it.
    await answer<Upload>(upload(other, content), 201)
    await answer<Upload>(upload(other, content), 200)
    const stores = ['other', ownProject.project].map((project) =>
      harness.stores.of({ tenant: ownProject.tenant, project }),
    )
    const [theirs, ours] = await Promise.all(
      stores.map(async (store) => ({ store, entry: await findUpload(store, id) })),
    )
    assert.ok(theirs?.entry !== undefined && ours?.entry !== undefined)
    await theirs.store.remove(theirs.entry.objectKey)
    assert.equal((await buffer(await ours.store.get(ours.entry.objectKey))).toString(), content)
    assert.equal((await submit(own, { inputs: { userData: { upload: id } } })).state, 'queued')
  })

  it('has resumable uploads of its own', async () => {
    const begun = await own('/v1/uploads/resumable', {
      method: 'POST',
      headers: { 'tus-resumable': '1.0.0', 'upload-length': '10' },
    })
    assert.equal(begun.status, 201)
    const path = new URL(begun.headers.get('location') ?? '', harness.url).pathname
    await assertProblem(other(path), 404, 'upload-not-found')
    const append: Init = { method: 'PATCH', headers: { ...tus, 'upload-offset': '0' }, body: '0123456789' }
    for (const init of [{ method: 'HEAD', headers: tus }, append, { method: 'DELETE', headers: tus }]) {
      assert.equal((await other(path, init)).status, 404, init.method)
    }
    const done = await own(path, append)
    assert.equal(done.status, 204)
    const id = `sha256:${createHash('sha256').update('0123456789').digest('hex')}`
    assert.equal(done.headers.get('upload-content-id'), id)
    await answer<Upload>(own(`/v1/uploads/${id}`), 200)
    await assertProblem(other(`/v1/uploads/${id}`), 404, 'upload-not-found')
  })

  it('has builds of its own', async () => {
    const build = await submit(own, { labels: { site: 'one' } })
    assert.deepEqual([build.tenant, build.project], [ownProject.tenant, ownProject.project])
    const theirs = await submit(other, { labels: { site: 'one' } })
    assert.deepEqual([theirs.tenant, theirs.project], [ownProject.tenant, 'other'])

    const path = `/v1/builds/${build.id}`
    for (const end of ['', '/artifacts', '/events', '/logs']) {
      await assertProblem(other(`${path}${end}`), 404, 'build-not-found')
    }
    for (const end of ['/cancel', '/retry']) {
      await assertProblem(other(`${path}${end}`, { method: 'POST' }), 404, 'build-not-found')
    }
    await assertProblem(other(path, { method: 'DELETE' }), 404, 'build-not-found')
    assert.deepEqual(await answer(own(path), 200), build)

    for (const query of ['', '?state=queued', '?target=iso', '?label=site%3Done', `?cursor=${build.id}`]) {
      const { items } = await answer<BuildPage>(other(`/v1/builds${query}`), 200)
      assert.ok(
        items.every(({ project }) => project === 'other'),
        query,
      )
    }
    const { items } = await answer<BuildPage>(other('/v1/builds?label=site%3Done'), 200)
    assert.deepEqual(items, [theirs])
    await answer<Build>(own(`${path}/cancel`, { method: 'POST' }), 202)
    assert.equal((await own(`${path}/logs`)).status, 200)
    assert.equal((await own(path, { method: 'DELETE' })).status, 204)
    await answer<Build>(other(`/v1/builds/${theirs.id}`), 200)
  })

  it('has Idempotency-Keys of its own', async () => {
    const headers = { 'idempotency-key': 'the-same' }
    const ours = await submit(own, {}, headers)
    // Neither a replay nor a conflict with what the other project asked for by this key.
    const theirs = await submit(other, { labels: { other: 'request' } }, headers)
    assert.notEqual(theirs.id, ours.id)
    assert.equal((await submit(own, {}, headers)).id, ours.id)
    assert.equal((await submit(other, { labels: { other: 'request' } }, headers)).id, theirs.id)
  })

  it('has fleets of its own', async () => {
    const asked = { build: fleetBuild, userDataTemplate: fleetTemplate, sites: sitesOf(2) }
    const fleet = await answer<Fleet>(own('/v1/fleets', json(asked)), 202)
    assert.deepEqual([fleet.tenant, fleet.project], [ownProject.tenant, ownProject.project])
    const path = `/v1/fleets/${fleet.id}`
    for (const end of ['', '/sites', '/downloads', '/archive', '/downloads?format=sha256sum']) {
      await assertProblem(other(`${path}${end}`), 404, 'fleet-not-found')
    }
    await assertProblem(other(`${path}/cancel`, { method: 'POST' }), 404, 'fleet-not-found')
    await assertProblem(other(path, { method: 'DELETE' }), 404, 'fleet-not-found')
    assert.deepEqual((await answer<FleetPage>(other('/v1/fleets'), 200)).items, [])
    assert.deepEqual((await answer<FleetPage>(own('/v1/fleets'), 200)).items, [fleet])
    const [first] = (await answer<BuildPage>(own('/v1/builds?label=site%3Dstore-0'), 200)).items
    assert.equal(first?.fleet?.id, fleet.id)
    await assertProblem(other(`/v1/builds/${first.id}`), 404, 'build-not-found')
  })

  it('has artifacts of its own, and signed URLs to them', async () => {
    const { id: buildId } = await submit(own)
    const content = { buildId, name: 'installer.iso', source: Readable.from(['installer']) }
    const artifact = await publishArtifact(harness.store, content)
    const path = `/v1/artifacts/${artifact.id}`
    for (const end of ['', '/contents', '/checksum']) {
      await assertProblem(other(`${path}${end}`), 404, 'artifact-not-found')
    }
    for (const end of ['/verify', '/materialize']) {
      await assertProblem(other(`${path}${end}`, { method: 'POST' }), 404, 'artifact-not-found')
    }
    await assertProblem(other(`${path}/download-url`, json({})), 404, 'artifact-not-found')
    assert.deepEqual(await answer<Artifact>(own(path), 200), artifact)

    const { id, url } = await answer<DownloadUrl>(own(`${path}/download-url`, json({})), 201)
    assert.equal(await (await fetch(url)).text(), 'installer')
    const altered = new URL(url)
    altered.searchParams.set('project', `${ownProject.tenant}/other`)
    await assertProblem(fetch(altered), 403, 'invalid-signature')
    altered.searchParams.delete('project')
    await assertProblem(fetch(altered), 403, 'invalid-signature')
    const revoke = { method: 'DELETE' }
    await assertProblem(other(`${path}/download-urls/${id}`, revoke), 404, 'artifact-not-found')
    assert.equal((await fetch(url)).status, 200)
  })

  it('is not chosen by a header that only the gateway may send', async () => {
    const { id: buildId } = await submit(own)
    const content = { buildId, name: 'plain.txt', source: Readable.from(['plain']) }
    const artifact = await publishArtifact(harness.store, content)
    const forged = forwardedHeaders({
      ...ownProject,
      ...{ subject: 'key:0123456789abcdef', name: 'forged', role: 'operator' as const },
      scopes: [...scopesOfRole.operator],
    })
    const { 'edgesmith-principal': principal = '' } = forged
    await assertProblem(
      other(`/v1/artifacts/${artifact.id}`, { headers: { 'edgesmith-principal': principal } }),
      404,
      'artifact-not-found',
    )
  })

  it('is kept by its own policies', async () => {
    const build = await submit(own)
    await answer<Build>(own(`/v1/builds/${build.id}/cancel`, { method: 'POST' }), 202)
    const policies = { policies: [{ name: 'all', keep: { maxCount: 0 } }] }
    const put = (client: Client) =>
      client('/v1/retention/policies', {
        ...json(policies, { 'if-match': '"0"' }),
        method: 'PUT',
      })
    assert.equal((await put(other)).status, 200)
    const read = await own('/v1/retention/policies')
    assert.deepEqual([read.headers.get('etag'), await read.json()], ['"0"', { policies: [] }])

    const run = (client: Client) =>
      answer<RetentionReport>(client('/v1/retention/runs', json({ dryRun: false })), 200)
    assert.deepEqual((await run(other)).builds.items, [])
    await answer<Build>(own(`/v1/builds/${build.id}`), 200)
    assert.equal((await put(own)).status, 200)
    assert.ok((await run(own)).builds.items.includes(build.id))
    await assertProblem(own(`/v1/builds/${build.id}`), 404, 'build-not-found')
  })
})
