import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { scopesOfRole, type Role, type Scope } from '@edgesmith/contract/access'
import type { Problem } from '@edgesmith/contract/problem'
import { ApiKeys } from '@edgesmith/identity/api-keys'
import { RecordCache } from '@edgesmith/identity/record-cache'
import { Tenants } from '@edgesmith/identity/tenants'
import { fetchWith } from '../../../test/support/as-operator.ts'
import { fleetBuild, fleetTemplate, sitesOf } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

type Document = {
  paths: Record<string, Record<string, { operationId?: string; security?: Record<string, string[]>[] }>>
}
type Operation = { method: string; path: string; operationId: string; scopes: readonly string[] | undefined }

const documentFile = new URL('../../../openapi/openapi.json', import.meta.url)
const { paths } = JSON.parse(await readFile(documentFile, 'utf8')) as Document
const operations = Object.entries(paths).flatMap(([path, item]) =>
  Object.entries(item).flatMap(([method, { operationId, security = [] }]): Operation[] =>
    operationId === undefined
      ? []
      : [{ method: method.toUpperCase(), path, operationId, scopes: security[0]?.['bearerToken'] }],
  ),
)

/** Operations whose URL is its own credential. */
const bySignature = ['downloadArtifact', 'describeDownload']
const roles = Object.keys(scopesOfRole) as Role[]

type Parameters = Readonly<Record<string, string>>
type Client = typeof globalThis.fetch

describe('The access matrix of the API', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  const keys = new Map<string, string>()

  before(async () => {
    harness = stack.use(await startHarness())
    const onError = (error: Error) => {
      throw error
    }
    const redis = stack.adopt(
      openRedis(harness.redisUrl, { patience: 'brief', name: 'test', onError }),
      closeRedis,
    )
    const parts = { store: harness.stores.whole, cache: new RecordCache(redis) }
    const [tenants, apiKeys] = [new Tenants(parts), new ApiKeys(parts)]
    await tenants.addProject({ tenant: 'default', project: 'other' })
    await tenants.create({ id: 'stranger', name: 'Stranger' })
    const make = async (name: string, role: Role, more: object = {}) => {
      const given = { name, role, tenant: 'default', createdBy: 'test', ...more }
      const { record, key } = await apiKeys.create(given)
      keys.set(name, key)
      return record.id
    }
    for (const role of roles) await make(role, role)
    await make('other project', 'admin', { project: 'other' })
    await make('other tenant', 'admin', { tenant: 'stranger' })
    await make('expired', 'operator', { expiresAt: new Date(Date.now() - 1000).toISOString() })
    await apiKeys.revoke(await make('revoked', 'operator'))
  })
  after(() => stack.disposeAsync())

  function clientOf(name: string): Client {
    const key = keys.get(name)
    return key === undefined ? globalThis.fetch : fetchWith({ authorization: `Bearer ${key}` })
  }

  const json = (body: object): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const created = async (path: string, init: RequestInit): Promise<Response> => {
    const response = await clientOf('operator')(`${harness.url}${path}`, init)
    assert.ok(response.ok, await response.clone().text())
    return response
  }
  const idOf = async (response: Response) => ((await response.json()) as { id: string }).id

  async function makeArtifact(): Promise<string> {
    const source = Readable.from([Buffer.alloc(1000, 7)])
    return (await publishArtifact(harness.store, { buildId: randomUUID(), name: 'a.iso', source })).id
  }

  /** Makes what the parameters of a path name, in the project `default` of the tenant `default`. */
  const makers: Record<string, () => Promise<Parameters>> = {
    artifacts: async () => {
      const id = await makeArtifact()
      return { id, urlId: await idOf(await created(`/v1/artifacts/${id}/download-url`, json({}))) }
    },
    builds: async () => {
      const buildArguments = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }
      const spec = { canvos: { tag: 'v4.9.36' }, arguments: buildArguments }
      return { id: await idOf(await created('/v1/builds', json(spec))) }
    },
    fleets: async () => {
      const fleet = { build: fleetBuild, userDataTemplate: fleetTemplate, sites: sitesOf(1) }
      return { id: await idOf(await created('/v1/fleets', json(fleet))) }
    },
    secrets: async () => {
      const name = `secret-${randomUUID()}`
      await created(`/v1/secrets/${name}`, {
        ...json({ kind: 'opaque', value: 'a value that nobody guesses' }),
        method: 'PUT',
      })
      return { name }
    },
    uploads: async () => {
      const headers = { 'content-type': 'application/octet-stream' }
      const sent = await created('/v1/uploads', { method: 'POST', headers, body: randomUUID() })
      return { id: await idOf(sent) }
    },
    resumable: async () => {
      const headers = { 'tus-resumable': '1.0.0', 'upload-length': '10' }
      const begun = await created('/v1/uploads/resumable', { method: 'POST', headers })
      return { id: begun.headers.get('location')?.split('/').at(-1) ?? '' }
    },
  }
  /** What is the same for all. */
  const shared: Record<string, Parameters> = { canvos: { tag: 'v4.9.36' } }

  function kindOf({ path }: Operation): string {
    if (path.startsWith('/v1/uploads/resumable/')) return 'resumable'
    return path.split('/')[2] ?? ''
  }
  const hasParameters = ({ path }: Operation) => path.includes('{')

  /** Identifiers of the same form that name nothing. */
  function nothingLike(parameters: Parameters): Parameters {
    return Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [
        name,
        value.startsWith('sha256:')
          ? `sha256:${randomUUID().replaceAll('-', '').repeat(2)}`
          : name === 'name'
            ? `secret-${randomUUID()}`
            : randomUUID(),
      ]),
    )
  }

  async function ask(
    client: Client,
    { method, path }: Operation,
    parameters: Parameters,
  ): Promise<{ status: number; type: string; detail: string }> {
    const url = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => {
      const value = parameters[name]
      assert.ok(value !== undefined, `The test makes nothing for {${name}} of ${path}.`)
      return value
    })
    const isTus = path.startsWith('/v1/uploads/resumable')
    const hasBody = ['POST', 'PUT', 'PATCH'].includes(method)
    const headers: Record<string, string> = isTus
      ? { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream', 'upload-offset': '0' }
      : hasBody
        ? { 'content-type': 'application/json' }
        : {}
    const body = hasBody ? { body: isTus ? '01234' : '{}' } : {}
    const response = await client(`${harness.url}${url}`, { method, headers, ...body })
    const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json') === true
    if (!isProblem || method === 'HEAD') {
      // An event stream goes on for as long as its build.
      await response.body?.cancel()
      return { status: response.status, type: '', detail: '' }
    }
    const { type, detail = '' } = (await response.json()) as Problem
    return { status: response.status, type, detail }
  }

  const own = async (operation: Operation): Promise<Parameters> => {
    if (!hasParameters(operation)) return {}
    const kind = kindOf(operation)
    const made = shared[kind] ?? (await makers[kind]?.())
    assert.ok(made !== undefined, `The test has no way to make what ${operation.path} names.`)
    return made
  }

  for (const operation of operations.filter(({ operationId }) => !bySignature.includes(operationId))) {
    const { operationId, method, scopes } = operation
    describe(operationId, () => {
      it('asks for one scope that some role has', () => {
        assert.equal(scopes?.length, 1)
        assert.ok(scopesOfRole.operator.includes(scopes[0] as Scope))
      })

      it('lets nobody in without valid credentials', async () => {
        const parameters = await own(operation)
        for (const name of ['nobody', 'expired', 'revoked']) {
          const { status } = await ask(clientOf(name), operation, parameters)
          assert.equal(status, 401, name)
        }
      })

      for (const role of roles) {
        const scope = scopes?.[0] as Scope
        const may = (scopesOfRole[role] as readonly Scope[]).includes(scope)
        it(`${may ? 'lets' : 'does not let'} a ${role} do it`, async () => {
          const { status, detail } = await ask(clientOf(role), operation, await own(operation))
          if (may) {
            assert.ok(![401, 403, 404, 500].includes(status), `${status} ${detail}`)
          } else {
            assert.equal(status, 403)
            if (method !== 'HEAD') assert.match(detail, new RegExp(`scope ${scope}\\.`))
          }
        })
      }

      if (hasParameters(operation) && shared[kindOf(operation)] === undefined) {
        it("shows others' objects as it shows none", async () => {
          const parameters = await own(operation)
          for (const name of ['other project', 'other tenant']) {
            const foreign = await ask(clientOf(name), operation, parameters)
            const nothing = await ask(clientOf(name), operation, nothingLike(parameters))
            assert.deepEqual([foreign.status, foreign.type], [nothing.status, nothing.type], name)
            // A secret is made by its name, in the project of whoever makes it.
            if (operationId !== 'putSecret') assert.equal(foreign.status, 404, `${name}: ${foreign.detail}`)
          }
        })
      }
    })
  }
})
