import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { streamKey } from '@edgesmith/builds/build-keys'
import { describeFailure, finishBuild } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import type { Fleet, FleetDownloads, FleetPage, FleetSitePage } from '@edgesmith/contract/fleet'
import type { Problem } from '@edgesmith/contract/problem'
import { openFile } from '@edgesmith/iso/file'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { findUpload } from '@edgesmith/uploads/uploads'
import { extract } from 'tar-stream'
import { fetch, request } from '../../../test/support/as-operator.ts'
import { path } from '../../../test/support/image-workshop.ts'
import { capacity, FleetBuilder } from './fleet-builder.ts'
import { startHarness, type Harness } from './harness.ts'

const build = {
  canvos: { tag: 'v4.9.36' },
  arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
}
const template = `#cloud-config
stylus:
  site:
    edgeHostToken: {{token}}
    name: {{site}}
    projectName: stores
`
const userDataOf = (site: string, token: string) =>
  `#cloud-config\nstylus:\n  site:\n    edgeHostToken: ${JSON.stringify(token)}\n    name: ${JSON.stringify(site)}\n    projectName: stores\n`

const sitesOf = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `store-${index}`, values: { token: `00${index}` } }))

describe('fleets', () => {
  let harness: Harness
  let builder: FleetBuilder
  let api: ReturnType<typeof request>
  before(async () => {
    harness = await startHarness()
    builder = await FleetBuilder.open(harness)
    api = request(harness.url)
  })
  after(async () => {
    await builder[Symbol.asyncDispose]()
    await harness[Symbol.asyncDispose]()
  })

  async function submit(overrides: object = {}): Promise<Fleet> {
    const response = await api
      .post('/v1/fleets')
      .send({ build, userDataTemplate: template, sites: sitesOf(5), ...overrides })
    assert.equal(response.status, 202, response.text)
    return response.body as Fleet
  }

  async function get(id: string): Promise<Fleet> {
    return (await api.get(`/v1/fleets/${id}`)).body as Fleet
  }

  async function sitesIn(id: string): Promise<FleetSitePage['items']> {
    return ((await api.get(`/v1/fleets/${id}/sites`)).body as FleetSitePage).items
  }

  /** Asks again until the answer fits; the time limit of the test ends it. */
  async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
    for (;;) {
      const answer = await ask()
      if (fits(answer)) return answer
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  const hasEnded = ({ state }: Fleet) => state !== 'queued' && state !== 'running'

  async function downloadsOf(id: string): Promise<FleetDownloads> {
    return (await api.get(`/v1/fleets/${id}/downloads`)).body as FleetDownloads
  }

  async function download(url: string): Promise<Buffer> {
    const response = await fetch(url)
    assert.equal(response.status, 200)
    return Buffer.from(await response.arrayBuffer())
  }

  async function userDataIn(image: Buffer): Promise<string> {
    const reader: RandomAccess = {
      size: image.length,
      read: (offset, length) => Promise.resolve(image.subarray(offset, offset + length)),
    }
    return text(await openFile(reader, path))
  }

  it('stamps every site from the base, and hands the ISOs out', { timeout: 60_000 }, async () => {
    const table =
      'site,token,label.region\n' +
      sitesOf(5)
        .map(({ name, values }) => `${name},${values.token},emea\n`)
        .join('')
    const response = await api
      .post('/v1/fleets')
      .field('spec', JSON.stringify({ name: 'spring', build }))
      .attach('template', Buffer.from(template), 'template.yaml')
      .attach('sites', Buffer.from(table), 'sites.csv')
    assert.equal(response.status, 202, response.text)
    const { id, ...told } = response.body as Fleet
    assert.equal(response.headers['location'], `/v1/fleets/${id}`)
    assert.equal(told.name, 'spring')
    assert.equal(told.sites, 5)
    assert.equal(told.state, 'queued')
    const [first] = await sitesIn(id)
    await builder.recordBaseOf(id, first?.buildId ?? '')

    await using _workers = builder.start()
    const ended = await until(() => get(id), hasEnded)
    assert.equal(ended.state, 'succeeded')
    assert.equal(ended.builds.succeeded, 5)

    const { items, missing, checksumsMissing } = await downloadsOf(id)
    assert.deepEqual([missing, checksumsMissing], [0, 5])
    const images = await Promise.all(items.map(({ url }) => download(url)))
    for (const [index, image] of images.entries()) {
      assert.equal(items[index]?.name, `store-${index}.iso`)
      assert.equal(await userDataIn(image), userDataOf(`store-${index}`, `00${index}`))
    }

    // Checksums.
    const pending = await api.get(`/v1/fleets/${id}/downloads?format=sha256sum`)
    assert.equal(pending.status, 409)
    assert.equal((pending.body as Problem).type, 'urn:edgesmith:problem:checksums-pending')
    assert.match(String(pending.headers['retry-after']), /^\d+$/)
    const sums = await until(
      async () => api.get(`/v1/fleets/${id}/downloads`).set('accept', 'text/plain'),
      ({ status }) => status === 200,
    )
    const digests = images.map((image) => createHash('sha256').update(image).digest('hex'))
    assert.equal(sums.text, digests.map((digest, index) => `${digest}  store-${index}.iso\n`).join(''))
    const csv = await api.get(`/v1/fleets/${id}/downloads?format=csv`)
    assert.match(String(csv.headers['content-type']), /^text\/csv/)
    const lines = csv.text.split('\r\n')
    assert.equal(lines[0], 'site,buildId,artifactId,name,size,sha256,url,expiresAt')
    assert.equal(lines[2]?.split(',')[5], digests[1])
    const artifact = await api.get(`/v1/artifacts/${items[1]?.artifactId ?? ''}`)
    assert.equal((artifact.body as { sha256?: string }).sha256, digests[1])

    // The build of a site is like any other, although it has no archive of its own.
    const buildId = items[2]?.buildId ?? ''
    const record = (await api.get(`/v1/builds/${buildId}`)).body as Build
    assert.equal(record.road, 'stamp')
    assert.equal(record.baseBuildId, first?.buildId)
    assert.deepEqual(record.labels, { region: 'emea', site: 'store-2' })
    assert.deepEqual(record.fleet, { id, site: 'store-2' })
    assert.deepEqual(
      record.artifacts.map(({ name }) => name),
      ['store-2.iso'],
    )
    assert.deepEqual(record.proof?.inputs[0]?.paths, [path])
    const readLog = async () => (await api.get(`/v1/builds/${buildId}/logs`)).text
    const log = await readLog()
    assert.match(log, /stamped into the base/)
    const readEvents = async () => (await api.get(`/v1/builds/${buildId}/events`)).text
    const events = await readEvents()
    await until(
      () => builder.redis.ttl(streamKey(buildId)),
      (seconds) => seconds > 0,
    )
    await builder.redis.del(streamKey(buildId))
    assert.equal(await readLog(), log)
    assert.equal(await readEvents(), events)

    // One tar.
    const chosen = await tarOf(`/v1/fleets/${id}/archive?site=store-3&site=store-1`)
    assert.deepEqual([...chosen.keys()], ['store-1.iso', 'store-3.iso'])
    assert.deepEqual(chosen.get('store-3.iso'), images[3])
    assert.equal((await tarOf(`/v1/fleets/${id}/archive`)).size, 5)
    assert.equal((await tarOf(`/v1/fleets/${id}/archive?site=store-4`)).size, 1)
    assert.equal((await api.get(`/v1/fleets/${id}/archive?site=nowhere`)).status, 404)

    assert.equal((await api.delete(`/v1/fleets/${id}`)).status, 204)
    assert.equal((await api.get(`/v1/fleets/${id}`)).status, 404)
    assert.equal((await api.get(`/v1/builds/${buildId}`)).status, 404)
    const left = await harness.keys()
    assert.deepEqual(
      left.filter((key) => key.startsWith('fleets/') || key.startsWith('artifacts/')),
      [],
    )
  })

  async function tarOf(url: string): Promise<Map<string, Buffer>> {
    const response = await fetch(`${harness.url}${url}`)
    assert.equal(response.status, 200)
    const bytes = Buffer.from(await response.arrayBuffer())
    assert.equal(response.headers.get('content-length'), String(bytes.length))
    const files = new Map<string, Buffer>()
    const tar = extract()
    tar.on('entry', ({ name }, stream, next) => {
      void buffer(stream).then((content) => {
        files.set(name, content)
        next()
      })
    })
    tar.end(bytes)
    await once(tar, 'finish')
    return files
  }

  it('tells the faults of all rows, and keeps nothing', async () => {
    const before = await harness.keys()
    const table = `site,token\nstore-1,abc\nStore 2,abc\nstore-3,\nstore-1,abc\nstore-5,"a\nb"\n`
    const response = await api
      .post('/v1/fleets')
      .field('spec', JSON.stringify({ build: { ...build, arguments: { ...build.arguments, ISO_NAM: 'x' } } }))
      .attach('template', Buffer.from(`${template}# {{token}}\n`), 'template.yaml')
      .attach('sites', Buffer.from(table), 'sites.csv')
      .attach('contentBundle', Buffer.from('not a bundle'), 'core.tar.zst')
    assert.equal(response.status, 422, response.text)
    const { errors = [] } = response.body as Problem
    const told = errors
      .filter(({ severity }) => severity === 'error')
      .map(({ code, source, pointer, line }) => ({ code, source, pointer, line }))
    const has = (expected: object) => {
      assert.ok(
        told.some((one) => JSON.stringify(one) === JSON.stringify(expected)),
        JSON.stringify(told, undefined, 1),
      )
    }
    has({ code: 'arguments.unknown', source: 'arguments', pointer: '/arguments/ISO_NAM', line: undefined })
    has({ code: 'sites.schema', source: 'sites', pointer: '/sites/1/name', line: 3 })
    has({ code: 'sites.duplicate', source: 'sites', pointer: '/sites/3/name', line: 5 })
    has({ code: 'sites.value', source: 'sites', pointer: '/sites/4/values/token', line: 6 })
    assert.deepEqual(await harness.keys(), before)
  })

  it('judges the user-data of every row', async () => {
    const sites = sitesOf(120).map((site, index) =>
      index % 50 === 7 ? { ...site, values: { token: 7 } } : site,
    )
    const before = await harness.keys()
    const response = await api.post('/v1/fleets').send({ build, userDataTemplate: template, sites })
    assert.equal(response.status, 422, response.text)
    const pointers = new Set(
      ((response.body as Problem).errors ?? [])
        .filter(({ severity }) => severity === 'error')
        .map(({ pointer }) => pointer?.split('/').slice(0, 4).join('/')),
    )
    assert.deepEqual([...pointers], ['/sites/7/userData', '/sites/57/userData', '/sites/107/userData'])
    assert.deepEqual(await harness.keys(), before)
  })

  it('names a missing value, and tells a fault of the template once', async () => {
    const response = await api
      .post('/v1/fleets')
      .send({ build, userDataTemplate: '#cloud-config\na: [{{site}}\nb: {{x}}\n', sites: sitesOf(3) })
    const { errors = [] } = response.body as Problem
    assert.deepEqual(
      errors.filter(({ code }) => code === 'sites.missing-value').map(({ pointer }) => pointer),
      ['/sites/0/values/x', '/sites/1/values/x', '/sites/2/values/x'],
    )
    const broken = await api
      .post('/v1/fleets')
      .send({ build, userDataTemplate: '#cloud-config\na: [{{site}}\n', sites: sitesOf(3) })
    const told = ((broken.body as Problem).errors ?? []).filter(({ source }) => source === 'template')
    assert.equal(new Set(told.map((one) => JSON.stringify(one))).size, told.length)
    assert.ok(told.length > 0)
  })

  it('asks for one template and one table', async () => {
    const response = await api
      .post('/v1/fleets')
      .send({ build, userDataTemplate: template, template: { upload: `sha256:${'0'.repeat(64)}` } })
    assert.equal(response.status, 422)
    assert.deepEqual(
      (response.body as Problem).errors?.map(({ code, pointer }) => [code, pointer]),
      [
        ['fleet.twice', '/template'],
        ['fleet.missing', '/sites'],
        ['input.upload-not-found', '/template/upload'],
      ],
    )
  })

  it('has the first build make the base, and stamps the others then', { timeout: 60_000 }, async () => {
    const spec = {
      ...build,
      arguments: { ...build.arguments, OS_VERSION: '24.04', ISO_NAME: 'edge' },
      labels: { wave: '1' },
    }
    const large = { name: 'large', values: { token: 'x'.repeat(capacity) } }
    const fleet = await submit({ build: spec, sites: [...sitesOf(3), large] })
    await using _workers = builder.start()
    const [leader, second, , last] = await sitesIn(fleet.id)
    assert.ok(leader && second && last)
    const { upload } = (await builder.repository.get(leader.buildId)).spec.inputs?.userData ?? { upload: '' }
    await until(
      () => findUpload(harness.store, upload),
      (found) => found !== undefined,
    )
    assert.deepEqual(
      (await sitesIn(fleet.id)).map(({ state }) => state),
      ['queued', 'queued', 'queued', 'queued'],
    )

    // What a builder does that runs Earthly.
    const { run } = await builder.repository.claim(leader.buildId, 1, new Date())
    assert.equal((await get(fleet.id)).state, 'running')
    await builder.recordBaseOf(fleet.id, leader.buildId)
    const parts = {
      stores: harness.stores,
      redis: builder.redis,
      repository: builder.repository,
      events: builder.events,
    }
    await concludeBuild(
      parts,
      leader.buildId,
      (current) => finishBuild(current, { state: 'succeeded', artifacts: [] }, new Date()),
      new Date(),
      { run },
    )
    await until(
      () => get(fleet.id),
      ({ builds }) => builds.succeeded === 3,
    )
    const stamped = await builder.repository.get(second.buildId)
    assert.equal(stamped.baseBuildId, leader.buildId)
    assert.equal(stamped.artifacts[0]?.name, 'edge-store-1.iso')
    // What does not fit is left to a builder, with its user-data as an upload.
    const oversized = await builder.repository.get(last.buildId)
    assert.equal(oversized.state, 'queued')
    await until(
      () => findUpload(harness.store, oversized.spec.inputs?.userData?.upload ?? ''),
      (found) => (found?.upload.size ?? 0) > capacity,
    )
    assert.equal((await api.post(`/v1/fleets/${fleet.id}/cancel`)).status, 202)
    await until(() => get(fleet.id), hasEnded)
  })

  it('fails the others when the build that makes the base does', { timeout: 60_000 }, async () => {
    const fleet = await submit({
      build: { ...build, arguments: { ...build.arguments, OS_VERSION: '20.04' } },
    })
    await using _workers = builder.start()
    const [leader, second] = await sitesIn(fleet.id)
    assert.ok(leader && second)
    await builder.repository.claim(leader.buildId, 1, new Date())
    const failure = describeFailure('target-failed', '+base-image failed.')
    const parts = {
      stores: harness.stores,
      redis: builder.redis,
      repository: builder.repository,
      events: builder.events,
    }
    await concludeBuild(
      parts,
      leader.buildId,
      (current) => finishBuild(current, { state: 'failed', failure }, new Date()),
      new Date(),
    )
    const ended = await until(() => get(fleet.id), hasEnded)
    assert.equal(ended.state, 'failed')
    assert.equal(ended.builds.failed, 5)
    const failed = await builder.repository.get(second.buildId)
    assert.match(failed.failure?.detail ?? '', /store-0.*\+base-image failed/)

    // A build can be retried by itself: its user-data is an upload then.
    assert.equal((await api.post(`/v1/builds/${second.buildId}/retry`)).status, 202)
    const found = await findUpload(harness.store, failed.spec.inputs?.userData?.upload ?? '')
    assert.equal(found?.upload.size, Buffer.byteLength(userDataOf('store-1', '001')))
  })

  it('cancels the builds that have not ended', { timeout: 60_000 }, async () => {
    const fleet = await submit()
    assert.equal((await api.delete(`/v1/fleets/${fleet.id}`)).status, 409)
    assert.equal((await api.post(`/v1/fleets/${fleet.id}/cancel`)).status, 202)
    await using _workers = builder.start()
    const ended = await until(() => get(fleet.id), hasEnded)
    assert.equal(ended.state, 'canceled')
    assert.equal(ended.builds.canceled, 5)
    assert.equal((await api.post(`/v1/fleets/${fleet.id}/cancel`)).status, 409)
  })

  it('creates what a gateway that was lost has not created', { timeout: 60_000 }, async () => {
    const fleet = await submit()
    const sites = await sitesIn(fleet.id)
    // As it was before the last builds, and the job.
    for (const { buildId } of sites.slice(3)) {
      await concludeBuild(
        {
          stores: harness.stores,
          redis: builder.redis,
          repository: builder.repository,
          events: builder.events,
        },
        buildId,
        (current) =>
          finishBuild(current, { state: 'canceled', failure: describeFailure('canceled', '') }, new Date()),
        new Date(),
      )
      await builder.repository.remove(buildId)
    }
    await builder.redis.hdel(`edgesmith:fleet:${fleet.id}`, 'complete')
    await builder.recordBaseOf(fleet.id, sites[0]?.buildId ?? '')
    await using _workers = builder.start()
    const ended = await until(
      () => get(fleet.id),
      ({ builds }) => builds.succeeded === 5,
    )
    assert.equal(ended.state, 'succeeded')
    assert.deepEqual(
      (await sitesIn(fleet.id)).map(({ buildId }) => buildId),
      sites.map(({ buildId }) => buildId),
    )
  })

  it('answers a repeated request with the fleet of the first', async () => {
    const send = (sites: object) =>
      api
        .post('/v1/fleets')
        .set('idempotency-key', 'fleet-1')
        .send({ build, userDataTemplate: template, sites })
    const first = await send(sitesOf(2))
    const second = await send(sitesOf(2))
    assert.equal(second.status, 202, second.text)
    assert.equal((second.body as Fleet).id, (first.body as Fleet).id)
    assert.equal(second.headers['idempotent-replayed'], 'true')
    assert.equal((await send(sitesOf(3))).status, 422)
  })

  it('lists fleets and sites in pages', async () => {
    const fleet = await submit()
    const page = (await api.get('/v1/fleets?limit=1')).body as FleetPage
    assert.deepEqual(page.items, [await get(fleet.id)])
    const next = (await api.get(`/v1/fleets?limit=1&cursor=${page.nextCursor ?? ''}`)).body as FleetPage
    assert.notEqual(next.items[0]?.id, fleet.id)
    const sites: string[] = []
    let cursor = ''
    for (;;) {
      const answer = await api.get(`/v1/fleets/${fleet.id}/sites?limit=2${cursor}`)
      const { items, nextCursor } = answer.body as FleetSitePage
      sites.push(...items.map(({ site }) => site))
      if (nextCursor === undefined) break
      cursor = `&cursor=${nextCursor}`
    }
    assert.deepEqual(sites, ['store-0', 'store-1', 'store-2', 'store-3', 'store-4'])
    assert.equal((await api.get(`/v1/fleets/${'0'.repeat(8)}-0000-7000-8000-000000000000`)).status, 404)
  })
})
