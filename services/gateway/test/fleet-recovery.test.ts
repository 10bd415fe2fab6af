import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { findArtifact, recordKey } from '@edgesmith/artifacts/artifacts'
import { queuePrefix } from '@edgesmith/builds/build-keys'
import { jobAttempts, type FleetJob } from '@edgesmith/builds/fleet-queue'
import type { BuildPage } from '@edgesmith/contract/build'
import type { Problem } from '@edgesmith/contract/problem'
import type { FleetPage } from '@edgesmith/contract/fleet'
import { fleetObject } from '@edgesmith/fleets/fleet-record'
import { runRetention } from '@edgesmith/retention/run-retention'
import { Queue } from 'bullmq'
import { fetch } from '../../../test/support/as-operator.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { FleetBuilder } from './fleet-builder.ts'
import { fleetBuild, FleetClient, fleetTemplate, sitesOf, until } from './fleet-client.ts'
import { spawnGateway } from './gateway-process.ts'
import { startHarness, type Harness } from './harness.ts'

const dayMs = 86_400_000
const siteCount = 1000
const workerMain = join(import.meta.dirname, 'fleet-worker-process.ts')

describe('a fleet whose', () => {
  let harness: Harness
  let builder: FleetBuilder
  let client: FleetClient
  before(async () => {
    harness = await startHarness()
    builder = await FleetBuilder.open(harness)
    client = new FleetClient(harness.url)
  })
  after(async () => {
    await builder[Symbol.asyncDispose]()
    await harness[Symbol.asyncDispose]()
  })

  function startWorker(): ChildProcess & AsyncDisposable {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, workerMain], {
      env: { ...process.env, ...harness.environment },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const ended = once(child, 'close')
    const dispose = async () => {
      child.kill('SIGTERM')
      await ended
    }
    return Object.assign(child, { [Symbol.asyncDispose]: dispose })
  }

  /** Waits until nothing is to be done for a fleet any more. */
  async function untilClosed(id: string): Promise<void> {
    await until(
      () => builder.fleets.listOpen(),
      (open) => !open.includes(id),
    )
  }

  it('builder is killed is finished by another, each site once', { timeout: 120_000 }, async () => {
    const { id } = await client.submit({ sites: sitesOf(siteCount) })
    const leader = (await client.sites(id))[0]?.buildId ?? ''
    await builder.recordBaseOf(id, leader)
    const first = startWorker()
    for (;;) {
      const { builds } = await builder.fleets.get(id)
      if (builds.succeeded > 0) break
    }
    const ended = once(first, 'close')
    first.kill('SIGKILL')
    await ended
    const { builds: left } = await client.fleet(id)
    assert.ok(left.succeeded > 0 && left.queued > 0, JSON.stringify(left))

    await using _second = startWorker()
    assert.equal((await client.ended(id)).builds.succeeded, siteCount)
    await untilClosed(id)
    const { items, missing } = await client.downloads(id)
    assert.equal(missing, 0)
    assert.deepEqual(
      items.map(({ site }) => site),
      sitesOf(siteCount).map(({ name }) => name),
    )
    const stored = new Set((await harness.keys()).filter((key) => key.startsWith('artifacts/')))
    assert.deepEqual(stored, new Set(items.map(({ artifactId }) => recordKey(artifactId))))
    for (const { artifactId, buildId } of items) {
      assert.equal((await findArtifact(harness.store, artifactId))?.artifact.buildId, buildId)
      const events = await Array.fromAsync(await builder.events.read(buildId, { follow: false }))
      const ends = events.filter(({ event }) => event.type === 'state' && event.state === 'succeeded')
      assert.equal(ends.length, 1)
    }
  })

  it(
    'gateway is killed before Redis knows of it leaves nothing that stays',
    { timeout: 60_000 },
    async () => {
      const { items: before } = await client.get<FleetPage>('/v1/fleets')
      const keysBefore = new Set(await harness.keys())
      const gateway = await spawnGateway({ GATEWAY_PORT: '0', LOG_LEVEL: 'info', ...harness.environment })
      const body = new FormData()
      body.append('spec', new Blob([JSON.stringify({ build: fleetBuild, sites: sitesOf(3) })]), 'spec.json')
      body.append('template', new Blob([fleetTemplate]), 'template.yaml')
      body.append('contentBundle', new Blob([new Uint8Array(zstdCompressSync('bundle'))]), 'core.tar.zst')
      await builder.redis.client('PAUSE', 600_000, 'WRITE')
      const answer = fetch(`${gateway.url}/v1/fleets`, { method: 'POST', body })
      const refused = assert.rejects(answer)
      const records = () => keysOf('fleets/')
      const [record] = await until(records, (keys) => keys.some((key) => key.endsWith('fleet.json')))
      const id = record?.split('/')[1] ?? ''
      await gateway.kill()
      await refused
      await builder.redis.client('UNPAUSE')

      const { items: fleets } = await client.get<FleetPage>('/v1/fleets')
      assert.deepEqual(fleets, before)
      assert.equal((await fetch(`${harness.url}/v1/fleets/${id}`)).status, 404)
      const { items: builds } = await client.get<BuildPage>('/v1/builds?limit=200')
      assert.ok(builds.every(({ fleet }) => fleet?.id !== id))
      // A builder has nothing to do with it.
      await using workers = builder.start()
      await workers[Symbol.asyncDispose]()
      assert.deepEqual(await records(), [fleetObject.record(id), fleetObject.pack(id)])

      const { redis, repository } = builder
      const parts = {
        stores: harness.stores,
        redis,
        repository,
        settings: { uploadUnusedMs: dayMs, baseUnusedMs: dayMs },
      }
      const sweep = (now: Date) =>
        runRetention(parts, { project: ownProject, dryRun: false, signal: new AbortController().signal, now })
      assert.deepEqual((await sweep(new Date())).fleets.items, [])
      assert.deepEqual(await records(), [fleetObject.record(id), fleetObject.pack(id)])
      const { fleets: removed, uploads } = await sweep(new Date(Date.now() + 2 * dayMs))
      assert.deepEqual([removed.items, uploads.count], [[id], 1])
      // Retention keeps books of its own, also beside the bases.
      const own = /^(fleets|uploads|builds|artifacts)\//
      const left = (await harness.keys()).filter((key) => !keysBefore.has(key) && own.test(key))
      assert.deepEqual(left, [])

      async function keysOf(prefix: string): Promise<string[]> {
        return (await harness.keys()).filter((key) => key.startsWith(prefix) && !keysBefore.has(key)).sort()
      }
    },
  )

  it('job fails as often as it may ends, with its builds', { timeout: 60_000 }, async () => {
    const { id } = await client.submit()
    await builder.recordBaseOf(id, (await client.sites(id))[0]?.buildId ?? '')
    await harness.store.remove(fleetObject.pack(id))
    await using queue = new DisposableQueue('fleets', { connection: builder.redis, prefix: queuePrefix })
    // The same job, without the time between its attempts.
    await (await queue.getJob(id))?.remove()
    const backoff = { type: 'fixed', delay: 1 }
    const options = { jobId: id, attempts: jobAttempts, backoff, removeOnComplete: true, removeOnFail: true }
    await queue.add('fleet', { fleetId: id }, options)
    await using _workers = builder.start({ mayFail: true })
    const ended = await client.ended(id)
    assert.deepEqual([ended.state, ended.builds.failed], ['failed', 5])
    for (const { failure, state, artifacts } of await client.builds(id)) {
      assert.deepEqual([state, failure?.type, artifacts], ['failed', 'urn:edgesmith:problem:internal', []])
      assert.match(failure?.detail ?? '', /fleet/)
    }
    await untilClosed(id)
    const [{ buildId } = { buildId: '' }] = await client.sites(id)
    const retried = await fetch(`${harness.url}/v1/builds/${buildId}/retry`, { method: 'POST' })
    assert.deepEqual(
      [retried.status, ((await retried.json()) as Problem).type],
      [409, 'urn:edgesmith:problem:state-conflict'],
    )
    assert.deepEqual((await harness.keys()).filter((key) => key.startsWith(`fleets/${id}/`)).sort(), [
      `fleets/${id}/builds.ndjson`,
      fleetObject.record(id),
    ])
  })
})

class DisposableQueue extends Queue<FleetJob> implements AsyncDisposable {
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
