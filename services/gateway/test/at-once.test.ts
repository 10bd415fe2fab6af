import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { baseKey, recordBase } from '@edgesmith/bases/base-store'
import { publishEngineProfile } from '@edgesmith/bases/engine-profile'
import { recipeKeys } from '@edgesmith/bases/keys'
import { readArchivedBuild } from '@edgesmith/builds/build-archive'
import { streamKey } from '@edgesmith/builds/build-keys'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { Build, BuildPage } from '@edgesmith/contract/build'
import { objectManifest } from '@edgesmith/manifest/manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import { findUpload } from '@edgesmith/uploads/uploads'
import type { Redis } from 'ioredis'
import { v7 as uuidv7 } from 'uuid'
import { SteadyRedis } from '../../../libs/builds/test/steady-redis.ts'
import { fetch } from '../../../test/support/as-operator.ts'
import { path, Workshop } from '../../../test/support/image-workshop.ts'
import { until } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

const maker = { engine: 'engine', userDataReserveBytes: 4096 }
const userDataOf = (site: string) => `#cloud-config\nstylus:\n  site:\n    name: ${site}\n`

describe('A build whose ISO can be had from a base', () => {
  const stack = new AsyncDisposableStack()
  let server: SteadyRedis
  let harness: Harness
  let first: Build
  let redis: Redis
  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-at-once-'))
    stack.defer(() => rm(directory, { recursive: true }))
    server = stack.use(await SteadyRedis.open(directory))
    harness = stack.use(await startHarness({ redis: server }))
    const onError = () => undefined
    redis = stack.adopt(openRedis(harness.redisUrl, { patience: 'brief', name: 'test', onError }), closeRedis)
    await publishEngineProfile(redis, { ...maker, insecureRegistries: [], imageDigestTtlSeconds: 60 })
    first = (await submit('first')).build
    await keepBase(stack.use(await Workshop.open()))
  })
  after(() => stack.disposeAsync())

  async function submit(site: string, spec: object = {}, headers: Record<string, string> = {}) {
    const response = await post(site, spec, headers)
    assert.equal(response.status, 202, await response.clone().text())
    return { build: (await response.json()) as Build, response }
  }

  function post(site: string, spec: object, headers: Record<string, string>): Promise<Response> {
    const form = new FormData()
    const argumentsOfAll = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }
    const whole = { canvos: { tag: 'v4.10.0' }, arguments: argumentsOfAll, ...spec }
    form.append('spec', new Blob([JSON.stringify(whole)], { type: 'application/json' }), 'spec.json')
    form.append('userData', new Blob([userDataOf(site)]), 'user-data')
    return fetch(`${harness.url}/v1/builds`, { method: 'POST', body: form, headers })
  }

  /** Keeps a base as a builder would that had run the first build. */
  async function keepBase(workshop: Workshop): Promise<void> {
    const { store } = harness
    const placeholder = placeholderUserData(maker.userDataReserveBytes)
    const made = await workshop.make('gpt', 'image', placeholder)
    const userData = await findSlot(workshop.read(made), path, placeholder)
    const upload = first.spec.inputs?.userData?.upload ?? ''
    const entry = await findUpload(store, upload)
    assert.ok(userData !== undefined && entry !== undefined)
    const { objectKey } = entry
    const { kind, size } = entry.upload
    const input = { role: 'userData', pointer: '/inputs/userData', contentId: upload, kind, size, objectKey }
    const keys = recipeKeys({ ...first, inputs: [{ ...input, role: 'userData' as const }] }, maker)
    const id = uuidv7()
    await store.put(baseKey.data(id), await workshop.store.get('image'))
    await recordBase(store, {
      ...{ id, rootKey: keys.root, layersKey: keys.layers, buildId: first.id, images: [], userData },
      ...{ manifest: objectManifest(baseKey.data(id), made.size), createdAt: first.createdAt },
      ...{ proof: [], unproved: [] },
    })
  }

  it('has succeeded when the submission is answered, with record, events, log and artifacts', async () => {
    assert.equal(first.state, 'queued')
    const { build } = await submit('second')
    assert.deepEqual(
      [build.state, build.road, build.baseBuildId, build.attempt],
      ['succeeded', 'stamp', first.id, 1],
    )
    const told = (await (await fetch(`${harness.url}/v1/builds/${build.id}`)).json()) as Build
    assert.deepEqual(told, build)
    const events = await (await fetch(`${harness.url}/v1/builds/${build.id}/events`)).text()
    assert.deepEqual(
      [...events.matchAll(/"state":"([a-z]+)"/g)].map(([, state]) => state),
      ['queued', 'succeeded'],
    )
    const log = await (await fetch(`${harness.url}/v1/builds/${build.id}/logs`)).text()
    assert.match(log, /stamped into the base/)
    assert.deepEqual(
      build.artifacts.map(({ name }) => name),
      ['installer.iso', 'installer.iso.sha256'],
    )
    await assertDownloadable(build)
  })

  async function assertDownloadable(build: Build): Promise<void> {
    const url = `${harness.url}/v1/artifacts/${build.artifacts[0]?.id ?? ''}/download-url`
    const headers = { 'content-type': 'application/json' }
    const grant = await fetch(url, { method: 'POST', headers, body: '{}' })
    const download = await fetch(((await grant.json()) as { url: string }).url)
    assert.equal((await download.arrayBuffer()).byteLength, build.artifacts[0]?.size)
  }

  it('has the same events and log once they are read from its archive, which is one object', async () => {
    const { build } = await submit('archived')
    const read = async (what: string) => (await fetch(`${harness.url}/v1/builds/${build.id}/${what}`)).text()
    const [events, log] = [await read('events'), await read('logs')]
    assert.match(log, /stamped into the base/)
    assert.equal(await redis.del(streamKey(build.id)), 1)
    assert.equal(await read('events'), events)
    assert.equal(await read('logs'), log)
    const kept = await Array.fromAsync(harness.store.list(`builds/${build.id}/`), ({ key }) => key)
    assert.deepEqual(kept, [`builds/${build.id}/archive.json`])
    assert.deepEqual(await readArchivedBuild(harness.store, build.id), build)
    const response = await fetch(`${harness.url}/v1/builds/${build.id}`, { method: 'DELETE' })
    assert.equal(response.status, 204)
    assert.deepEqual(await Array.fromAsync(harness.store.list(`builds/${build.id}/`)), [])
  })

  it('has the user-data of an upload that was there before, sent again', async () => {
    const [one, other] = [await submit('twice'), await submit('twice')]
    assert.deepEqual([one.build.state, other.build.state], ['succeeded', 'succeeded'])
    assert.equal(other.build.key, one.build.key)
    assert.notEqual(other.build.artifacts[0]?.id, one.build.artifacts[0]?.id)
  })

  it('is the same build when the submission is repeated with its Idempotency-Key', async () => {
    const key = { 'idempotency-key': 'once' }
    const { build } = await submit('third', {}, key)
    const again = await submit('third', {}, key)
    assert.equal(again.response.headers.get('idempotent-replayed'), 'true')
    assert.deepEqual(again.build, build)
    assert.equal(build.state, 'succeeded')
  })

  for (const when of ['sent', 'done'] as const) {
    it(`is one build, and whole, when Redis dies as its record is ${when} and it is asked for again`, async () => {
      const label = `lost-${when}`
      const again = () => post(label, { labels: { label } }, { 'idempotency-key': label })
      const killed = server.killAt(label, when)
      const lost = await again()
      await killed
      assert.equal(lost.status, 503)
      await server.start()
      const answered = await until(again, ({ status }) => status !== 503)
      assert.equal(answered.status, 202, await answered.clone().text())
      const build = (await answered.json()) as Build
      assert.equal(build.state, 'succeeded')
      await assertDownloadable(build)
      const listed = await fetch(`${harness.url}/v1/builds?label=label%3D${label}`)
      assert.deepEqual(((await listed.json()) as BuildPage).items, [build])
    })
  }

  it('is queued where it asks for a run, differs in its root file system, or has too large user-data', async () => {
    assert.equal((await submit('fourth', { cache: 'bypass' })).build.state, 'queued')
    const other = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04', CUSTOM_TAG: 'other' }
    assert.equal((await submit('fourth', { arguments: other })).build.state, 'queued')
    const large = `large\n# ${'x'.repeat(maker.userDataReserveBytes)}`
    assert.equal((await submit(large)).build.state, 'queued')
  })
})
