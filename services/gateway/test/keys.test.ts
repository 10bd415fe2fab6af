import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { scopesOfRole } from '@edgesmith/contract/access'
import type { ApiKey, ApiKeyPage, ApiKeyWithText, NewApiKey } from '@edgesmith/contract/api-key'
import type { Problem } from '@edgesmith/contract/problem'
import type { Redis } from 'ioredis'
import { fetch as asOperator, fetchWith, operatorKey } from '../../../test/support/as-operator.ts'
import { spawnGateway, type GatewayProcess } from './gateway-process.ts'
import { startHarness, type Harness } from './harness.ts'

type Client = typeof globalThis.fetch

const clientOf = (key: string): Client => fetchWith({ authorization: `Bearer ${key}` })
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()

describe('API keys of the API', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  let redis: Redis
  /** Another process on the same Redis and object store. */
  let replica: GatewayProcess

  before(async () => {
    harness = stack.use(await startHarness())
    const onError = (error: Error) => {
      throw error
    }
    redis = stack.adopt(openRedis(harness.redisUrl, { patience: 'brief', name: 'test', onError }), closeRedis)
    replica = stack.use(await spawnGateway({ GATEWAY_PORT: '0', LOG_LEVEL: 'trace', ...harness.environment }))
    for (const id of ['stores', 'depots']) await make('/v1/projects', { id })
    await make('/v1/tenants', { id: 'acme', name: 'Acme' })
  })
  after(() => stack.disposeAsync())

  const send = (
    client: Client,
    method: string,
    path: string,
    body?: object,
    { url = harness.url, headers = {} } = {},
  ): Promise<Response> =>
    client(`${url}${path}`, {
      method,
      ...(body === undefined
        ? { headers }
        : { headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }),
    })
  async function make(path: string, body: object): Promise<void> {
    const response = await send(asOperator, 'POST', path, body)
    assert.equal(response.status, 201, await response.text())
  }
  async function create(wanted: NewApiKey, client = asOperator): Promise<ApiKeyWithText> {
    const response = await send(client, 'POST', '/v1/keys', wanted)
    assert.equal(response.status, 201, await response.clone().text())
    return (await response.json()) as ApiKeyWithText
  }
  async function refusal(asked: Promise<Response>): Promise<string> {
    const response = await asked
    const { type, detail = '' } = (await response.json()) as Problem
    return `${response.status} ${type.replace(/^.*:/, '')}: ${detail}`
  }
  /** Whether a gateway lets a key in. */
  async function letsIn(key: string, url = harness.url): Promise<boolean> {
    const { status } = await clientOf(key)(`${url}/v1/whoami`)
    assert.ok([200, 401].includes(status), String(status))
    return status === 200
  }

  it('are shown once, and kept nowhere', async () => {
    const wanted = { name: 'shown once', role: 'builder' } as const
    const headers = { 'idempotency-key': 'one' }
    const response = await send(asOperator, 'POST', '/v1/keys', wanted, { url: replica.url, headers })
    assert.equal(response.status, 201)
    const { key, ...told } = (await response.json()) as ApiKeyWithText
    assert.equal(response.headers.get('cache-control'), 'no-store')
    assert.equal(response.headers.get('location'), `/v1/keys/${told.id}`)
    assert.match(key, new RegExp(`^esk_${told.id}_[0-9a-f]{64}$`))
    assert.partialDeepStrictEqual(told, {
      ...{ name: 'shown once', tenant: 'default', role: 'builder', createdBy: 'key:0123456789abcdef' },
      scopes: [...scopesOfRole.builder],
    })
    const again = await send(asOperator, 'POST', '/v1/keys', wanted, { url: replica.url, headers })
    const repeated = (await again.json()) as ApiKeyWithText
    assert.notEqual(repeated.id, told.id)

    const rotate = `/v1/keys/${told.id}/rotate`
    const rotation = await send(asOperator, 'POST', rotate, { graceSeconds: 60 }, { url: replica.url })
    assert.equal(rotation.headers.get('cache-control'), 'no-store')
    const rotated = ((await rotation.json()) as ApiKeyWithText).key
    assert.ok((await letsIn(key, replica.url)) && (await letsIn(rotated, replica.url)))

    const found = (await (await asOperator(`${harness.url}/v1/keys/${told.id}`)).json()) as ApiKey
    assert.deepEqual(Object.keys(found).sort(), [...Object.keys(told), 'graceUntil', 'rotatedAt'].sort())
    const list = await (await asOperator(`${harness.url}/v1/keys?limit=1000`)).text()
    const objects = await Array.fromAsync(harness.stores.whole.list(''))
    const stored = await Promise.all(
      objects.map(
        async (object) => `${object.key} ${await text(await harness.stores.whole.get(object.key))}`,
      ),
    )
    const dumped = await Promise.all((await redis.keys('*')).map((name) => redis.dumpBuffer(name)))
    assert.ok(replica.log.some((line) => line.includes('/v1/keys')))
    assert.ok(stored.some((object) => object.includes('"createApiKey"')))
    const secrets = [key, rotated, repeated.key, operatorKey].map((one) => one.slice(-64))
    const held = [list, ...stored, ...dumped.map((dump) => dump.toString('latin1')), ...replica.log]
    for (const secret of secrets) assert.ok(!held.some((one) => one.includes(secret)))
  })

  it('are told of by whoami', async () => {
    const expiresAt = inAnHour()
    const made = await create({
      ...{ name: 'narrow', role: 'admin', scopes: ['builds:read', 'audit:read'] },
      ...{ project: 'stores', expiresAt },
    })
    const who = await clientOf(made.key)(`${harness.url}/v1/whoami`)
    // A key of one project has no scope beyond it.
    assert.deepEqual(await who.json(), {
      ...{ subject: `key:${made.id}`, name: 'narrow', tenant: 'default', project: 'stores' },
      ...{ everyProject: false, role: 'admin', scopes: ['builds:read'], expiresAt },
    })
    const elsewhere = clientOf(made.key)(`${harness.url}/v1/whoami`, {
      headers: { 'edgesmith-project': 'depots' },
    })
    assert.match(await refusal(elsewhere), /^404 project-not-found/)
  })

  describe('of whoever makes them', () => {
    const admin: NewApiKey = { name: 'made', role: 'admin' }
    const excesses: [maker: NewApiKey, wanted: NewApiKey, refused: RegExp][] = [
      [admin, { name: 'x', role: 'operator' }, /^403 forbidden: .*operator is more/],
      // Nothing more than an admin has today, but for what may come to operators.
      [admin, { name: 'x', role: 'operator', scopes: ['builds:read'] }, /^403 forbidden: .*operator is more/],
      [
        { ...admin, scopes: ['keys:write', 'builds:read'] },
        { name: 'x', role: 'viewer' },
        /^403 forbidden: .*lack the scope uploads:read, artifacts:read/,
      ],
      [
        { ...admin, project: 'stores' },
        { name: 'x', role: 'viewer', project: 'depots' },
        /^403 forbidden: .*for the project stores/,
      ],
      [admin, { name: 'x', role: 'viewer', tenant: 'acme' }, /^403 forbidden: .*tenants:write/],
      // Whether there is such a tenant is told to the operator alone.
      [admin, { name: 'x', role: 'viewer', tenant: 'nobody' }, /^403 forbidden: .*tenants:write/],
      [{ ...admin, expiresAt: inAnHour() }, { name: 'x', role: 'viewer' }, /^403 forbidden: .*end at/],
      [
        { ...admin, expiresAt: inAnHour() },
        { name: 'x', role: 'viewer', expiresAt: new Date(Date.now() + 7_200_000).toISOString() },
        /^403 forbidden: .*end at/,
      ],
      [admin, { name: 'x', role: 'viewer', project: 'nothing' }, /^404 project-not-found/],
      [admin, { name: 'x', role: 'viewer', expiresAt: '2020-01-01T00:00:00Z' }, /^422 invalid-body/],
      [{ name: 'made', role: 'operator' }, { ...admin, tenant: 'nobody' }, /^404 tenant-not-found/],
      // The project is looked for in the tenant of the key.
      [
        { name: 'made', role: 'operator' },
        { ...admin, tenant: 'acme', project: 'stores' },
        /^404 project-not-found/,
      ],
    ]
    for (const [maker, wanted, refused] of excesses) {
      it(`have no more: ${JSON.stringify(maker)} asks for ${JSON.stringify(wanted)}`, async () => {
        const { key } = await create(maker)
        assert.match(await refusal(send(clientOf(key), 'POST', '/v1/keys', wanted)), refused)
      })
    }

    it('have as much, or less', async () => {
      const expiresAt = inAnHour()
      const bound = clientOf((await create({ ...admin, project: 'stores', expiresAt })).key)
      const made = await create({ name: 'x', role: 'admin', expiresAt }, bound)
      assert.deepEqual([made.project, made.expiresAt], ['stores', expiresAt])
      const { tenant, project } = await create({ ...admin, tenant: 'acme' })
      assert.deepEqual([tenant, project], ['acme', undefined])
    })
  })

  it("are not rotated and revoked by who has less than they, and are not there for another's", async () => {
    const { key, id } = await create({ name: 'admin', role: 'admin' })
    const admin = clientOf(key)
    const operators = await create({ name: 'operator', role: 'operator' })
    for (const [method, end] of [
      ['POST', '/rotate'],
      ['DELETE', ''],
    ] as const) {
      const body = method === 'POST' ? {} : undefined
      const ask = (client: Client, of: string) => refusal(send(client, method, `/v1/keys/${of}${end}`, body))
      assert.match(await ask(admin, operators.id), /^403 forbidden/)
      // The operator's bootstrap key.
      assert.match(await ask(asOperator, '0123456789abcdef'), /^409 key-is-configured/)
      const theirs = clientOf((await create({ name: 'x', role: 'admin', tenant: 'acme' })).key)
      assert.match(await ask(theirs, id), /^404 key-not-found/)
      const bound = clientOf((await create({ name: 'x', role: 'admin', project: 'stores' })).key)
      assert.match(await ask(bound, id), /^404 key-not-found/)
    }
    assert.ok(await letsIn(operators.key))
    // What ends soon may end what lasts, but not make another of it.
    const brief = clientOf((await create({ name: 'x', role: 'admin', expiresAt: inAnHour() })).key)
    assert.match(await refusal(send(brief, 'POST', `/v1/keys/${id}/rotate`, {})), /^403 forbidden/)
    assert.equal((await send(brief, 'DELETE', `/v1/keys/${id}`)).status, 204)
    assert.equal(await letsIn(key), false)
  })

  it('of other tenants are looked after by the operator', async () => {
    const made = await create({ name: 'theirs', role: 'admin', tenant: 'acme' })
    const path = `/v1/keys/${made.id}`
    assert.equal((await asOperator(`${harness.url}${path}`)).status, 200)
    const idsOf = async (query: string, client = asOperator) => {
      const { items } = (await (await client(`${harness.url}/v1/keys${query}`)).json()) as ApiKeyPage
      return items.map(({ id }) => id)
    }
    assert.ok((await idsOf('?tenant=acme&limit=1000')).includes(made.id))
    assert.ok(!(await idsOf('?limit=1000')).includes(made.id))
    const theirs = clientOf(made.key)
    assert.ok((await idsOf('', theirs)).includes(made.id))
    assert.match(await refusal(theirs(`${harness.url}/v1/keys?tenant=default`)), /^403 forbidden/)
    assert.match(await refusal(asOperator(`${harness.url}/v1/keys?tenant=nobody`)), /^404 tenant-not-found/)
    const rotated = (await (await send(asOperator, 'POST', `${path}/rotate`, {})).json()) as ApiKeyWithText
    assert.deepEqual([await letsIn(made.key), await letsIn(rotated.key)], [false, true])
    assert.equal((await send(asOperator, 'DELETE', path)).status, 204)
    assert.equal(await letsIn(rotated.key), false)
  })

  it('are listed in pages, of its project alone for a key of one', async () => {
    const bound = await create({ name: 'x', role: 'admin', project: 'depots' })
    const second = await create({ name: 'y', role: 'viewer' }, clientOf(bound.key))
    const ids: string[] = []
    let cursor: string | undefined
    do {
      const query: string = cursor === undefined ? '' : `&cursor=${cursor}`
      const response = await clientOf(bound.key)(`${harness.url}/v1/keys?limit=1${query}`)
      const page = (await response.json()) as ApiKeyPage
      assert.equal(page.items.length, 1)
      ids.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    assert.deepEqual(ids, [bound.id, second.id].sort())
  })

  it('are refused by every replica as soon as the revocation is answered, and stay so in a wiped Redis', async () => {
    const { id, key } = await create({ name: 'revoked', role: 'viewer' })
    const kept = await create({ name: 'kept', role: 'viewer' })
    // Both have it in mind.
    assert.ok((await letsIn(key)) && (await letsIn(key, replica.url)))
    assert.equal((await send(asOperator, 'DELETE', `/v1/keys/${id}`)).status, 204)
    assert.equal(await letsIn(key, replica.url), false)
    await redis.flushall()
    for (const url of [replica.url, harness.url]) {
      assert.deepEqual([await letsIn(key, url), await letsIn(kept.key, url)], [false, true])
    }
    assert.equal((await send(asOperator, 'DELETE', `/v1/keys/${id}`)).status, 204)
    assert.match(await refusal(send(asOperator, 'POST', `/v1/keys/${id}/rotate`, {})), /^409 key-revoked/)
    const found = (await (await asOperator(`${harness.url}/v1/keys/${id}`)).json()) as ApiKey
    assert.ok(found.revokedAt)
  })

  it('that are refused are told how to come in', async () => {
    const challenge = async (headers: Record<string, string>, path = '/v1/whoami') => {
      const response = await fetch(`${harness.url}${path}`, { headers })
      return `${response.status} ${response.headers.get('www-authenticate')}`
    }
    // RFC 6750, section 3: without credentials no error is told.
    assert.equal(await challenge({}), '401 Bearer realm="edgesmith"')
    assert.equal(await challenge({ authorization: 'Basic eDp5' }), '401 Bearer realm="edgesmith"')
    const invalid = '401 Bearer realm="edgesmith", error="invalid_token"'
    assert.equal(await challenge({ authorization: 'Bearer x' }), invalid)
    assert.equal(await challenge({ authorization: `Bearer ${operatorKey.slice(0, -1)}0` }), invalid)
    const { key } = await create({ name: 'viewer', role: 'viewer' })
    assert.equal(
      await challenge({ authorization: `Bearer ${key}` }, '/v1/keys'),
      '403 Bearer realm="edgesmith", error="insufficient_scope", scope="keys:read"',
    )
  })
})
