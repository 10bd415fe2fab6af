import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { archiveKey } from '@edgesmith/builds/build-archive'
import { isEnd } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { FleetBuilder } from './fleet-builder.ts'
import { fleetBuild, FleetClient, until, userDataOf } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

/** How often the store refuses before it is back. */
const refusals = 3

describe('a build while the object store is away', { timeout: 60_000 }, () => {
  let harness: Harness
  let client: FleetClient
  before(async () => {
    harness = await startHarness()
    client = new FleetClient(harness.url)
  })
  after(() => harness[Symbol.asyncDispose]())

  /** A store that cannot be reached, the first times that it is asked for such a key. */
  function away(operation: 'put' | 'get', isAway: (key: string) => boolean) {
    let refused = 0
    const store = new Proxy(harness.stores.whole, {
      get(target, property) {
        const found: unknown = Reflect.get(target, property)
        if (typeof found !== 'function') return found
        return (...given: unknown[]): unknown => {
          if (property === operation && refused < refusals && isAway(String(given[0]))) {
            refused += 1
            return Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))
          }
          return (found as (...parameters: unknown[]) => unknown).apply(target, given)
        }
      },
    })
    return { store, refused: () => refused }
  }

  async function submit(spec: object = {}): Promise<Build> {
    const headers = { 'content-type': 'application/json' }
    return client.post('/v1/builds', { headers, body: JSON.stringify({ ...fleetBuild, ...spec }) }, 202)
  }

  async function run({ id }: Build, store: ObjectStore): Promise<Build> {
    const stores = new ProjectStores(store)
    await using builder = await FleetBuilder.open({ stores, redisUrl: harness.redisUrl })
    await using _worker = builder.startBuilds(
      { ...harness.environment, BUILDER_LOST_LIMIT: '0' },
      { mayWarn: true },
    )
    return await until(
      () => client.get<Build>(`/v1/builds/${id}`),
      ({ state }) => isEnd(state),
    )
  }

  it('is concluded once the store is back, as what it was to be', async () => {
    const build = await submit()
    const { store, refused } = away('put', (key) => key.endsWith(archiveKey.record(build.id)))
    const { failure, state } = await run(build, store)
    assert.equal(refused(), refusals)
    // There is no Docker: that is the build's end, and not that the store was away.
    assert.deepEqual([state, failure?.type], ['failed', 'urn:edgesmith:problem:engine-unavailable'])
  })

  it('waits when its inputs cannot be read', async () => {
    const upload = await client.upload(Buffer.from(userDataOf('store', 'token')), 'user-data')
    const build = await submit({ inputs: { userData: { upload } } })
    const { store, refused } = away('get', (key) => key.includes('/uploads/'))
    const { failure } = await run(build, store)
    assert.equal(refused(), refusals)
    assert.equal(failure?.type, 'urn:edgesmith:problem:engine-unavailable')
  })
})
