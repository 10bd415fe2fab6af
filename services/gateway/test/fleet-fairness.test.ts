import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { describeFailure, finishBuild } from '@edgesmith/builds/build-state'
import { BuildWorker } from '@edgesmith/builds/build-worker'
import type { ApiKeyWithText } from '@edgesmith/contract/api-key'
import type { Build } from '@edgesmith/contract/build'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { makeInputs } from '../../../test/e2e/inputs.ts'
import { fetch as fetchAsOperator, fetchWith } from '../../../test/support/as-operator.ts'
import { FleetBuilder } from './fleet-builder.ts'
import { fleetBuild, FleetClient, sitesOf, until } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

const siteCount = 1000

/** Builds of the fleet that may begin between the submission of another tenant's build and its own beginning. */
const fewTurns = 5

const json = { 'content-type': 'application/json' }

describe('A fleet of a thousand sites', { timeout: 180_000 }, () => {
  let harness: Harness
  let client: FleetClient
  /** As another tenant. */
  let fetchAsOther: typeof fetch
  before(async () => {
    harness = await startHarness()
    client = new FleetClient(harness.url)
    await client.post('/v1/tenants', { headers: json, body: JSON.stringify({ id: 'other', name: 'O' }) }, 201)
    const asked = { name: 'one', role: 'builder', tenant: 'other' }
    const { key } = await client.post<ApiKeyWithText>(
      '/v1/keys',
      { headers: json, body: JSON.stringify(asked) },
      201,
    )
    fetchAsOther = fetchWith({ authorization: `Bearer ${key}` })
  })
  after(() => harness[Symbol.asyncDispose]())

  /** Gives one build after the other its turn, each of which fails at once. */
  function startBuilds({ redis, repository, events }: FleetBuilder): AsyncDisposable {
    const failure = describeFailure('internal', 'It had its turn.')
    const worker = new BuildWorker({
      ...{ redis, repository, concurrency: 1, lockDurationMs: 30_000, maxLostWorkers: 0 },
      reconcileIntervalMs: 60_000,
      run: async ({ buildId, attempt }) => {
        const { run } = await repository.claim(buildId, attempt, new Date())
        const at = new Date()
        const fail = (build: Build) => finishBuild(build, { state: 'failed', failure }, at)
        await concludeBuild({ redis, repository, events, stores: harness.stores }, buildId, fail, at, { run })
        return 'done'
      },
      fail: (_job, _code, error) => Promise.reject(error),
      onError: (error) => {
        throw error
      },
    })
    return { [Symbol.asyncDispose]: () => worker.stop() }
  }

  async function submit(as: typeof fetch): Promise<Build> {
    const sent = { method: 'POST', headers: json, body: JSON.stringify(fleetBuild) }
    const response = await as(`${harness.url}/v1/builds`, sent)
    assert.equal(response.status, 202, await response.clone().text())
    return (await response.json()) as Build
  }

  async function get({ id }: Build, as: typeof fetch): Promise<Build> {
    return (await (await as(`${harness.url}/v1/builds/${id}`)).json()) as Build
  }

  const ended = (build: Build, as: typeof fetch) =>
    until(
      () => get(build, as),
      ({ endedAt }) => endedAt !== undefined,
    )

  it('whose builds are run one by one holds those of its own tenant alone', async () => {
    const definition = await client.upload((await makeInputs()).clusterDefinition, 'cluster.tgz')
    const inputs = { clusterDefinition: { upload: definition } }
    const fleet = await client.submit({ sites: sitesOf(siteCount).map((site) => ({ ...site, inputs })) })
    await using builder = await FleetBuilder.open(harness)
    {
      await using _fleets = builder.start()
      const redis = builder.redis
      await until(
        () => redis.hlen('edgesmith:turns:owners'),
        (jobs) => jobs === siteCount,
      )
    }
    await using _builds = startBuilds(builder)
    await until(
      () => client.fleet(fleet.id),
      ({ builds }) => builds.failed > 0,
    )
    const ownTenants = await submit(fetchAsOperator)
    const others = await ended(await submit(fetchAsOther), fetchAsOther)
    assert.equal((await get(ownTenants, fetchAsOperator)).state, 'queued')
    const { createdAt, startedAt = '' } = others
    const between = (await client.builds(fleet.id)).filter(
      ({ startedAt: at }) => at !== undefined && at > createdAt && at < startedAt,
    )
    assert.ok(between.length <= fewTurns, `${between.length} had their turn before`)

    await client.post(`/v1/fleets/${fleet.id}/cancel`, {}, 202)
    await using _fleets = builder.start()
    assert.equal((await ended(ownTenants, fetchAsOperator)).state, 'failed')
  })

  it('that is stamped holds no build, of whatever tenant', async () => {
    const fleet = await client.submit({ sites: sitesOf(siteCount) })
    const stamping = Promise.withResolvers<undefined>()
    const goOn = Promise.withResolvers<undefined>()
    const held = new Proxy(harness.stores.whole, {
      get(target, property) {
        const found: unknown = Reflect.get(target, property)
        if (typeof found !== 'function') return found
        return async (...given: unknown[]): Promise<unknown> => {
          if (property === 'get' && String(given[0]).includes(`/fleets/${fleet.id}/`)) {
            stamping.resolve(undefined)
            await goOn.promise
          }
          return await (found as (...parameters: unknown[]) => unknown).apply(target, given)
        }
      },
    })
    await using holder = await FleetBuilder.open({
      stores: new ProjectStores(held),
      redisUrl: harness.redisUrl,
    })
    await using builder = await FleetBuilder.open(harness)
    await builder.recordBaseOf(fleet.id, (await client.sites(fleet.id))[0]?.buildId ?? '')
    await using _fleets = holder.start()
    await using _builds = startBuilds(builder)
    await stamping.promise
    for (const as of [fetchAsOperator, fetchAsOther]) {
      assert.notEqual((await ended(await submit(as), as)).endedAt, undefined)
    }
    assert.equal((await client.fleet(fleet.id)).builds.queued, siteCount)
    goOn.resolve(undefined)
    assert.equal((await client.ended(fleet.id)).builds.succeeded, siteCount)
  })
})
