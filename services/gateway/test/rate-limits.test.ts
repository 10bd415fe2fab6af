import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { closeRedis, openRedis, pingRedis } from '@edgesmith/builds/redis-connection'
import type { ApiKeyWithText } from '@edgesmith/contract/api-key'
import type { Problem } from '@edgesmith/contract/problem'
import { ApiKeys } from '@edgesmith/identity/api-keys'
import { RecordCache } from '@edgesmith/identity/record-cache'
import type { RunningService } from '@edgesmith/service/lifecycle'
import { SteadyRedis } from '../../../libs/builds/test/steady-redis.ts'
import { fetch as fetchAsOperator, fetchWith } from '../../../test/support/as-operator.ts'
import { readEnv, toConfig } from '../src/config.ts'
import { startGateway } from '../src/service.ts'
import { until } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

const limits = { perKey: 20, perAddress: 6 }

describe('Requests of a minute', { timeout: 60_000 }, () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  let steady: SteadyRedis
  let gateways: readonly [RunningService, RunningService]

  before(async () => {
    harness = stack.use(await startHarness())
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-rates-'))
    stack.defer(() => rm(directory, { recursive: true, force: true }))
    steady = stack.use(await SteadyRedis.open(directory))
    const environment = {
      ...harness.environment,
      LOG_LEVEL: 'silent',
      REDIS_URL: steady.url,
      GATEWAY_PORT: '0',
      GATEWAY_TRUSTED_PROXIES: 'loopback',
      RATE_LIMIT_PER_KEY: String(limits.perKey),
      RATE_LIMIT_PER_ADDRESS: String(limits.perAddress),
    }
    const start = async () => stack.use(await startGateway(toConfig(readEnv(environment))))
    gateways = [await start(), await start()]
  })
  after(() => stack.disposeAsync())

  const everyone = '/openapi.json'
  const withKey = '/v1/builds'

  /** One of the gateways, in turns. */
  const turn = (count: number) => gateways[count % 2 === 0 ? 0 : 1].url

  async function newClient(): Promise<typeof globalThis.fetch> {
    const onError = (error: Error) => {
      throw error
    }
    const redis = openRedis(steady.url, { patience: 'brief', name: 'test', onError })
    await pingRedis(redis)
    const keys = new ApiKeys({ store: harness.stores.whole, cache: new RecordCache(redis) })
    const { key } = await keys.create({
      name: 'counted',
      role: 'viewer',
      tenant: 'default',
      createdBy: 'test',
    })
    await closeRedis(redis)
    return fetchWith({ authorization: `Bearer ${key}` })
  }

  /** Requests as of a client behind a proxy that tells its address. */
  const from = (address: string, headers: Record<string, string> = {}) => {
    return (url: string) => fetch(url, { headers: { 'x-forwarded-for': address, ...headers } })
  }

  async function assertRefused(response: Response): Promise<void> {
    const { type, status } = (await response.json()) as Problem
    assert.deepEqual([response.status, status, type], [429, 429, 'urn:edgesmith:problem:too-many-requests'])
    const wait = Number(response.headers.get('retry-after'))
    assert.ok(wait >= 1 && wait <= 60, `Retry-After: ${wait}`)
    assert.equal(response.headers.get('ratelimit-remaining'), '0')
    assert.equal(response.headers.get('ratelimit-reset'), String(wait))
  }

  it('are counted by key, by all gateways together', async () => {
    const client = await newClient()
    for (let count = 0; count < limits.perKey; count += 1) {
      const response = await client(`${turn(count)}${withKey}`)
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('ratelimit-limit'), String(limits.perKey))
      assert.equal(response.headers.get('ratelimit-remaining'), String(limits.perKey - count - 1))
    }
    for (const count of [0, 1]) await assertRefused(await client(`${turn(count)}${withKey}`))
    // What asks for a scope that the key lacks, or is passed on to another service, counts as well.
    await assertRefused(await client(`${turn(0)}/v1/audit`))
    await assertRefused(await client(`${turn(0)}/v1/artifacts/0198c0de-0000-7000-8000-000000000000`))
    // Another key has a count of its own, at the same address.
    const another = await newClient()
    assert.equal((await another(`${turn(0)}${withKey}`)).headers.get('ratelimit-remaining'), '19')
  })

  it('are counted by tenant where it has a limit, whatever keys they are made with', async () => {
    const { url } = harness
    const headers = { 'content-type': 'application/json' }
    const made = await fetchAsOperator(`${url}/v1/tenants`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ id: 'counted', name: 'Counted', limits: { requestsPerMinute: 3 } }),
    })
    assert.equal(made.status, 201)
    const newKey = async () => {
      const response = await fetchAsOperator(`${url}/v1/keys`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ name: 'one', role: 'viewer', tenant: 'counted' }),
      })
      const { key } = (await response.json()) as ApiKeyWithText
      return fetchWith({ authorization: `Bearer ${key}` })
    }
    const clients = [await newKey(), await newKey()] as const
    for (const client of [...clients, clients[0]]) {
      const response = await client(`${url}/v1/whoami`)
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('ratelimit-limit'), '3')
    }
    for (const client of clients) await assertRefused(await client(`${url}/v1/whoami`))
    assert.equal((await fetchAsOperator(`${url}/v1/whoami`)).status, 200)
  })

  it('whose credentials are refused are counted by address, and keep no one else there out', async () => {
    const guess = from('192.0.2.1', { authorization: `Bearer esk_${'0'.repeat(16)}_${'0'.repeat(64)}` })
    for (let count = 0; count < limits.perAddress; count += 1) {
      assert.equal((await guess(`${turn(count)}${withKey}`)).status, 401)
    }
    await assertRefused(await guess(`${turn(0)}${withKey}`))
    await assertRefused(await from('192.0.2.1')(`${turn(1)}${withKey}`))
    const client = await newClient()
    const headers = { 'x-forwarded-for': '192.0.2.1' }
    assert.equal((await client(`${turn(0)}${withKey}`, { headers })).status, 200)
    assert.equal((await from('192.0.2.1')(`${turn(0)}${everyone}`)).status, 200)
    assert.equal((await from('192.0.2.2')(`${turn(0)}${withKey}`)).status, 401)
  })

  it('that need no credentials are counted by address, those to nowhere with them; health is always told', async () => {
    const client = from('192.0.2.3')
    const paths = [everyone, '/nowhere', '/v1/downloads/0198c0de-0000-7000-8000-000000000000']
    for (let count = 0; count < limits.perAddress; count += 1) {
      const response = await client(`${turn(count)}${paths[count % paths.length] ?? ''}`)
      assert.notEqual(response.status, 429)
      await response.arrayBuffer()
    }
    for (const path of paths) await assertRefused(await client(`${turn(0)}${path}`))
    for (const path of ['/healthz', '/readyz']) assert.equal((await client(`${turn(0)}${path}`)).status, 200)
  })

  it('of a network of IPv6 that one site has are those of one address', async () => {
    for (let count = 0; count < limits.perAddress; count += 1) {
      assert.equal((await from(`2001:db8:0:1::${count + 1}`)(`${turn(count)}${everyone}`)).status, 200)
    }
    await assertRefused(await from('2001:db8:0:1:ffff::1')(`${turn(0)}${everyone}`))
    assert.equal((await from('2001:db8:0:2::1')(`${turn(0)}${everyone}`)).status, 200)
  })

  it('have the address that the connection is of, unless a proxy is trusted', async () => {
    await using strict = await startHarness({ rateLimits: limits })
    for (let count = 0; count < limits.perAddress; count += 1) {
      assert.equal((await from(`192.0.2.${10 + count}`)(`${strict.url}${everyone}`)).status, 200)
    }
    await assertRefused(await from('192.0.2.30')(`${strict.url}${everyone}`))
  })

  it('are not limited where the limits are zero', async () => {
    for (let count = 0; count < 2 * limits.perKey; count += 1) {
      const response = await fetchAsOperator(`${harness.url}${withKey}`)
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('ratelimit-limit'), null)
    }
  })

  it('cost Redis nothing that it keeps', async () => {
    const onError = (error: Error) => {
      throw error
    }
    await using resources = new AsyncDisposableStack()
    const redis = resources.adopt(
      openRedis(steady.url, { patience: 'brief', name: 'test', onError }),
      closeRedis,
    )
    const written = async () => /aof_current_size:(\d+)/.exec(await redis.info('persistence'))?.[1]
    const client = from('192.0.2.4')
    const sizeBefore = await written()
    assert.equal((await client(`${turn(0)}${everyone}`)).status, 200)
    assert.equal(await written(), sizeBefore)
    assert.equal(await redis.get('edgesmith:rate:open:192.0.2.4'), '1')
  })

  it('are answered uncounted while Redis is away or hangs, and counted once it is back', async () => {
    const client = from('192.0.2.5')
    const ask = () => client(`${turn(0)}${everyone}`)
    const isCounted = (response: Response) => response.headers.get('ratelimit-limit') !== null
    for (const [stop, goOn] of [
      [() => steady.kill(), () => steady.start()],
      [
        () => {
          steady.pause()
        },
        () => {
          steady.resume()
        },
      ],
    ] as const) {
      await stop()
      for (let count = 0; count < 2 * limits.perAddress; count += 1) {
        // A limiter that waited for Redis as long as other requests do would not answer in time.
        const late = delay(2000, undefined, { ref: false })
        const response = await Promise.race([ask(), late])
        assert.equal(response?.status, 200)
        assert.ok(!isCounted(response))
      }
      await goOn()
      await until(ask, isCounted)
    }
  })
})
