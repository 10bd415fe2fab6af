import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { scopesOf, scopesOfRole, type Role, type Scope } from '@edgesmith/contract/access'
import type { Problem } from '@edgesmith/contract/problem'
import { ApiKeys } from '@edgesmith/identity/api-keys'
import { RecordCache } from '@edgesmith/identity/record-cache'
import { Tenants } from '@edgesmith/identity/tenants'
import { fetchWith } from '../../../test/support/as-operator.ts'
import { kindOf, Objects, operations, pathOf, type Operation, type Parameters } from './api-operations.ts'
import { startHarness, type Harness } from './harness.ts'

/** Operations for everybody who has credentials. */
const forAll = ['whoAmI']
/** Operations whose URL is its own credential. */
const bySignature = ['downloadArtifact', 'describeDownload']
const roles = Object.keys(scopesOfRole) as Role[]

type Client = typeof globalThis.fetch

describe('The access matrix of the API', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  let objects: Objects
  const keys = new Map<string, string>()

  before(async () => {
    harness = stack.use(await startHarness())
    objects = new Objects(harness)
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

  /** Identifiers of the same form that name nothing. */
  function nothingLike(parameters: Parameters): Parameters {
    return Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [
        name,
        value.startsWith('sha256:')
          ? `sha256:${randomUUID().replaceAll('-', '').repeat(2)}`
          : name === 'keyId'
            ? randomUUID().replaceAll('-', '').slice(0, 16)
            : name === 'name'
              ? `secret-${randomUUID()}`
              : randomUUID(),
      ]),
    )
  }

  async function ask(
    client: Client,
    operation: Operation,
    parameters: Parameters,
  ): Promise<{ status: number; type: string; detail: string }> {
    const { method, path } = operation
    const isTus = path.startsWith('/v1/uploads/resumable')
    const hasBody = ['POST', 'PUT', 'PATCH'].includes(method)
    const headers: Record<string, string> = isTus
      ? { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream', 'upload-offset': '0' }
      : hasBody
        ? { 'content-type': 'application/json' }
        : {}
    const body = hasBody ? { body: isTus ? '01234' : '{}' } : {}
    const response = await client(`${harness.url}${pathOf(operation, parameters)}`, {
      method,
      headers,
      ...body,
    })
    const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json') === true
    if (!isProblem || method === 'HEAD') {
      // An event stream goes on for as long as its build.
      await response.body?.cancel()
      return { status: response.status, type: '', detail: '' }
    }
    const { type, detail = '' } = (await response.json()) as Problem
    return { status: response.status, type, detail }
  }

  const own = (operation: Operation) => objects.makeFor(operation)

  for (const operation of operations.filter(({ operationId }) => !bySignature.includes(operationId))) {
    const { operationId, method, scopes } = operation
    describe(operationId, () => {
      const isForAll = forAll.includes(operationId)
      const scope = scopes?.[0] as Scope
      const allows = (role: Role) => isForAll || (scopesOfRole[role] as readonly Scope[]).includes(scope)

      it(isForAll ? 'asks for credentials alone' : 'asks for one scope that some role has', () => {
        assert.equal(scopes?.length, isForAll ? 0 : 1)
        assert.ok(allows('operator'))
      })

      it('lets nobody in without valid credentials', async () => {
        const parameters = await own(operation)
        for (const name of ['nobody', 'expired', 'revoked']) {
          const { status } = await ask(clientOf(name), operation, parameters)
          assert.equal(status, 401, name)
        }
      })

      for (const role of roles) {
        const may = allows(role)
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

      if (kindOf(operation) !== undefined) {
        it("shows others' objects as it shows none", async () => {
          const parameters = await own(operation)
          for (const name of ['other project', 'other tenant']) {
            const foreign = await ask(clientOf(name), operation, parameters)
            const nothing = await ask(clientOf(name), operation, nothingLike(parameters))
            assert.deepEqual([foreign.status, foreign.type], [nothing.status, nothing.type], name)
            // A secret is made by its name, in the project of whoever makes it.
            if (operationId === 'putSecret') continue
            // Both are admins, the first of one project.
            const hasScope = scopesOf('admin', { oneProject: name === 'other project' }).includes(scope)
            assert.equal(foreign.status, hasScope ? 404 : 403, `${name}: ${foreign.detail}`)
          }
        })
      }
    })
  }
})
