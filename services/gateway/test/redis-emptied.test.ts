import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { changesChannel, flightKey } from '@edgesmith/builds/build-keys'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { Build, BuildPage } from '@edgesmith/contract/build'
import type { FleetPage } from '@edgesmith/contract/fleet'
import type { Problem } from '@edgesmith/contract/problem'
import type { Redis } from 'ioredis'
import { fetch } from '../../../test/support/as-operator.ts'
import { Objects, operations, pathOf, validBuild, validFleet, type Operation } from './api-operations.ts'
import { until } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

/** The operations whose answers are from Redis alone: while it is empty they would tell that nothing is there. */
const fromRedis: readonly string[] = [
  ...['createBuild', 'listBuilds', 'getBuild', 'cancelBuild', 'retryBuild', 'deleteBuild'],
  ...['listBuildArtifacts', 'streamBuildEvents', 'getBuildLog'],
  ...['createFleet', 'listFleets', 'getFleet', 'cancelFleet', 'deleteFleet', 'listFleetSites'],
  ...['listFleetDownloads', 'downloadFleetArchive'],
]

const bodies: Readonly<Record<string, object>> = { createBuild: validBuild, createFleet: validFleet() }

function requestOf({ operationId, method }: Operation): RequestInit {
  const body = bodies[operationId]
  if (body === undefined) return { method }
  return { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

describe('The API while Redis has lost everything', { timeout: 120_000 }, () => {
  let harness: Harness
  let redis: Redis
  /** Paths by operation. */
  const paths = new Map<string, string>()
  let first: Build

  const submit = () =>
    fetch(`${harness.url}/v1/builds`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'used' },
      body: JSON.stringify(validBuild),
    })
  const get = async <T>(path: string) => (await (await fetch(`${harness.url}${path}`)).json()) as T

  /** Redis loses everything, and in the same moment somebody else takes the right to bring it back. */
  async function empty(): Promise<void> {
    await redis.multi().flushall().set(flightKey('recovery'), 'of the test').exec()
  }

  async function letRecover(): Promise<void> {
    await redis.del(flightKey('recovery'))
    await until(
      () => fetch(`${harness.url}/v1/builds`),
      ({ status }) => status === 200,
    )
  }

  before(async () => {
    harness = await startHarness()
    redis = openRedis(harness.redisUrl, { patience: 'brief', name: 'test', onError: () => undefined })
  })
  after(async () => {
    await closeRedis(redis)
    await harness[Symbol.asyncDispose]()
  })

  it('tells that there is nothing where there has never been anything', async () => {
    assert.deepEqual((await get<BuildPage>('/v1/builds')).items, [])
    assert.deepEqual((await get<FleetPage>('/v1/fleets')).items, [])
    assert.equal((await fetch(`${harness.url}/v1/builds/${randomUUID()}`)).status, 404)
  })

  it('has builds and fleets', async () => {
    first = (await (await submit()).json()) as Build
    const objects = new Objects(harness)
    for (const operation of operations.filter(({ operationId }) => fromRedis.includes(operationId)))
      paths.set(operation.operationId, pathOf(operation, await objects.makeFor(operation)))
    await empty()
  })

  for (const operationId of fromRedis) {
    it(`refuses ${operationId} for now`, async () => {
      const operation = operations.find((each) => each.operationId === operationId)
      assert.ok(operation !== undefined)
      const response = await fetch(`${harness.url}${paths.get(operationId) ?? ''}`, requestOf(operation))
      assert.equal(response.status, 503, await response.clone().text())
      assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
      const { type } = (await response.json()) as Problem
      assert.equal(type, 'urn:edgesmith:problem:upstream-unavailable')
    })
  }

  it('makes nothing once more for a key that was used before', async () => {
    assert.equal((await submit()).status, 503)
    await letRecover()
    const again = await submit()
    assert.equal(again.headers.get('idempotent-replayed'), 'true')
    assert.equal(((await again.json()) as Build).id, first.id)
  })

  it('has everything again afterwards, and tells what is not there', async () => {
    for (const operationId of ['getBuild', 'getFleet', 'listBuildArtifacts', 'getBuildLog', 'listFleetSites'])
      assert.equal((await fetch(`${harness.url}${paths.get(operationId) ?? ''}`)).status, 200, operationId)
    assert.equal((await fetch(`${harness.url}/v1/builds/${randomUUID()}`)).status, 404)
  })

  it('breaks an event stream off rather than to end it', async () => {
    const response = await fetch(`${harness.url}/v1/builds/${first.id}/events`)
    assert.equal(response.status, 200)
    await empty()
    // What a follower wakes up for, as when a build is deleted.
    await redis.publish(changesChannel(first.id), 'changed')
    await assert.rejects(response.text(), TypeError)
    await letRecover()
  })

  it('has everything but what cannot be understood', async () => {
    await harness.store.put(`builds/${first.id}/accepted.json`, Buffer.from('not what it should be'))
    await empty()
    await letRecover()
    assert.equal((await fetch(`${harness.url}/v1/builds/${first.id}`)).status, 404)
    assert.equal((await fetch(`${harness.url}${paths.get('getBuild') ?? ''}`)).status, 200)
  })
})
