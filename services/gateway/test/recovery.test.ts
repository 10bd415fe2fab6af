import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { isEnd } from '@edgesmith/builds/build-state'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { Build, BuildPage } from '@edgesmith/contract/build'
import type { Fleet } from '@edgesmith/contract/fleet'
import { runRetention } from '@edgesmith/retention/run-retention'
import { chooseBuild } from '@edgesmith/retention/recovery'
import { fetch } from '../../../test/support/as-operator.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { newBuild } from '../../../libs/builds/test/redis.ts'
import { FleetBuilder } from './fleet-builder.ts'
import { fleetBuild, FleetClient, sitesOf, until } from './fleet-client.ts'
import { spawnGateway } from './gateway-process.ts'
import { startHarness, type Harness } from './harness.ts'

const command = join(import.meta.dirname, '../../../deploy/recover.ts')

describe('a Redis that lost everything', { timeout: 120_000 }, () => {
  let harness: Harness
  let builder: FleetBuilder
  let client: FleetClient
  let queued: Build
  let ended: Fleet
  let open: Fleet
  const paths: string[] = []

  const submit = (key: string) =>
    fetch(`${harness.url}/v1/builds`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ ...fleetBuild, labels: { key } }),
    })
  const submitted = async (key: string) => (await (await submit(key)).json()) as Build

  before(async () => {
    harness = await startHarness()
    builder = await FleetBuilder.open(harness)
    client = new FleetClient(harness.url)
    // A build that a worker ended, one that a client canceled after a retry, one that waits.
    const failed = await submitted('failed')
    {
      await using _worker = builder.startBuilds({ ...harness.environment, BUILDER_LOST_LIMIT: '0' })
      await until(
        () => client.get<Build>(`/v1/builds/${failed.id}`),
        ({ state }) => isEnd(state),
      )
    }
    const canceled = await submitted('canceled')
    for (const action of ['cancel', 'retry', 'cancel'])
      await client.post(`/v1/builds/${canceled.id}/${action}`, {}, 202)
    queued = await submitted('queued')
    // A fleet whose ISOs are stamped, and one that waits.
    const { id } = await client.submit({ sites: sitesOf(3) })
    await builder.recordBaseOf(id, (await client.sites(id))[0]?.buildId ?? '')
    {
      await using _workers = builder.start()
      ended = await client.ended(id)
      await until(
        () => builder.fleets.listOpen(),
        (fleets) => !fleets.includes(id),
      )
    }
    open = await client.submit({ sites: sitesOf(2) })
    const builds = (await client.get<BuildPage>('/v1/builds?limit=200')).items
    for (const build of builds) {
      paths.push(`/v1/builds/${build.id}`, `/v1/builds/${build.id}/artifacts`, `/v1/builds/${build.id}/logs`)
      if (isEnd(build.state)) paths.push(`/v1/builds/${build.id}/events`)
      for (const { id: artifact } of build.artifacts) {
        const made = await fetch(`${harness.url}/v1/artifacts/${artifact}/download-url`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{}',
        })
        paths.push(`/v1/artifacts/${artifact}`, ((await made.json()) as DownloadUrl).url)
      }
    }
    paths.push('/v1/builds?limit=200', '/v1/builds?limit=2', '/v1/fleets')
    for (const state of ['queued', 'failed', 'canceled', 'succeeded']) paths.push(`/v1/builds?state=${state}`)
    paths.push('/v1/builds?label=key%3Dcanceled', '/v1/builds?target=iso')
    for (const fleet of [ended, open]) paths.push(`/v1/fleets/${fleet.id}`, `/v1/fleets/${fleet.id}/sites`)
  })
  after(async () => {
    await builder[Symbol.asyncDispose]()
    await harness[Symbol.asyncDispose]()
  })

  /** What the API answers, of everything that it is asked. */
  async function answers(): Promise<[path: string, status: number, sha256: string][]> {
    const all: [string, number, string][] = []
    for (const path of paths) {
      const response = await fetch(new URL(path, harness.url))
      const body = Buffer.from(await response.arrayBuffer())
      all.push([path, response.status, createHash('sha256').update(body).digest('hex')])
    }
    return all
  }

  async function recoverByCommand(): Promise<string> {
    const env = { ...process.env, ...harness.environment }
    return (await promisify(execFile)(process.execPath, [command], { env })).stdout
  }

  const ways = {
    'the command': async () => {
      const counts = '5 ended builds, 3 queued builds and 2 fleets are back.\n'
      assert.equal(await recoverByCommand(), counts)
    },
    'gateways that start, together': async () => {
      const start = () => spawnGateway({ GATEWAY_PORT: '0', LOG_LEVEL: 'info', ...harness.environment })
      for (const gateway of await Promise.all([start(), start()])) await gateway[Symbol.asyncDispose]()
    },
    'the gateway that is asked': async () => {
      const ask = () => fetch(`${harness.url}/v1/builds`)
      assert.equal((await ask()).status, 503)
      await until(ask, ({ status }) => status !== 503)
    },
  }

  for (const [name, recover] of Object.entries(ways)) {
    it(`is filled again by ${name}: the API answers what it did before`, async () => {
      const before = await answers()
      assert.deepEqual(
        before.filter(([, status]) => status !== 200),
        [],
      )
      await builder.redis.flushall()
      await recover()
      assert.deepEqual(await answers(), before)
      // Once more changes nothing.
      assert.equal(await recoverByCommand(), '0 ended builds, 0 queued builds and 0 fleets are back.\n')
      assert.deepEqual(await answers(), before)
      const replayed = await submit('queued')
      assert.equal(replayed.headers.get('idempotent-replayed'), 'true')
      assert.equal(((await replayed.json()) as Build).id, queued.id)
      // Retention knows all builds again.
      const run = { redis: builder.redis, repository: builder.repository }
      const settings = { uploadUnusedMs: 86_400_000, baseUnusedMs: 86_400_000 }
      const { builds, artifacts } = await runRetention(
        { ...run, stores: harness.stores, settings },
        { project: ownProject, dryRun: false, signal: new AbortController().signal },
      )
      assert.deepEqual([builds.count, artifacts.count], [0, 0])
    })
  }

  it('still has what waited to be run, each once', async () => {
    await using _workers = builder.start()
    await using _builds = builder.startBuilds({ ...harness.environment, BUILDER_LOST_LIMIT: '0' })
    const { builds } = await client.ended(open.id)
    assert.equal(builds.succeeded, 2)
    const build = await until(
      () => client.get<Build>(`/v1/builds/${queued.id}`),
      ({ state }) => isEnd(state),
    )
    const events = await Array.fromAsync(await builder.events.read(build.id, { follow: false }))
    assert.equal(events.filter(({ event }) => event.type === 'state' && isEnd(event.state)).length, 1)
  })

  it('has a build as it was accepted, archived or deleted last', () => {
    const accepted = newBuild()
    const iso = { id: 'iso' } as Build['artifacts'][number]
    const archived: Build = { ...accepted, state: 'succeeded', artifacts: [iso] }
    const there = () => true
    const gone = () => false
    assert.equal(chooseBuild(archived, accepted, there), archived)
    assert.equal(chooseBuild(archived, { ...accepted, attempt: 2 }, there)?.attempt, 2)
    assert.equal(chooseBuild(archived, accepted, gone), accepted)
    assert.equal(chooseBuild(archived, undefined, gone), undefined)
    assert.equal(chooseBuild(undefined, accepted, there), accepted)
  })
})
