import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { readAccepted } from '@edgesmith/builds/accepted-build'
import type { Build, BuildPage } from '@edgesmith/contract/build'
import type { Problem } from '@edgesmith/contract/problem'
import { fetch, request } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

const spec = {
  canvos: { tag: 'v4.9.36' },
  target: 'iso',
  arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04', ISO_NAME: 'store-0042' },
  labels: { site: 'store-0042' },
}
const userData = '#cloud-config\nstylus:\n  site:\n    edgeHostToken: abc\n    projectName: stores\n'
const zstd = zstdCompressSync('content')

describe('builds', () => {
  let harness: Harness
  let api: ReturnType<typeof request>
  before(async () => {
    harness = await startHarness()
    api = request(harness.url)
  })
  after(() => harness[Symbol.asyncDispose]())

  async function submit(overrides: object = {}): Promise<Build> {
    const response = await api.post('/v1/builds').send({ ...spec, ...overrides })
    assert.equal(response.status, 202, response.text)
    return response.body as Build
  }

  it('queues a build from JSON and answers where it is', async () => {
    const response = await api.post('/v1/builds').send(spec)
    assert.equal(response.status, 202)
    const build = response.body as Build
    assert.equal(response.headers['location'], `/v1/builds/${build.id}`)
    assert.equal(build.state, 'queued')
    assert.match(build.canvos.commit, /^[0-9a-f]{40}$/)
    assert.deepEqual(build.arguments, spec.arguments)
    assert.equal(build.spec.timeoutSeconds, 600)
    const found = await api.get(`/v1/builds/${build.id}`)
    assert.deepEqual(found.body, build)
  })

  it('queues a build from YAML, with the newest release when none is named', async () => {
    const response = await api
      .post('/v1/builds')
      .set('content-type', 'application/yaml')
      .send('target: iso\narguments:\n  ARCH: amd64\n  OS_DISTRIBUTION: ubuntu\n  OS_VERSION: "22.04"\n')
    assert.equal(response.status, 202, response.text)
    const releases = await api.get('/v1/canvos/releases')
    assert.equal((response.body as Build).canvos.tag, (releases.body as { latest: string }).latest)
  })

  it('takes the spec and the files as a form, in any order', async () => {
    const response = await api
      .post('/v1/builds')
      .attach('userData', Buffer.from(userData), 'user-data')
      .attach('contentBundle', zstd, 'core.tar.zst')
      .attach('spec', Buffer.from(JSON.stringify(spec)), {
        filename: 'spec.json',
        contentType: 'application/json',
      })
      .attach('contentBundle', Buffer.concat([zstd, zstd]), 'extra.zst')
      .attach('argFile', Buffer.from('ISO_NAME=from-file\nIMAGE_REGISTRY=ttl.sh\n'), '.arg')
    assert.equal(response.status, 202, response.text)
    const build = response.body as Build
    assert.deepEqual(
      build.spec.inputs?.contentBundles?.map(({ fileName }) => fileName),
      ['core.tar.zst', 'extra.zst'],
    )
    assert.deepEqual(build.arguments, { ...spec.arguments, IMAGE_REGISTRY: 'ttl.sh' })
    const upload = await api.get(`/v1/uploads/${build.spec.inputs.userData?.upload ?? 'none'}`)
    assert.deepEqual([upload.status, (upload.body as { kind: string }).kind], [200, 'cloud-config'])
  })

  it('refers to uploads', async () => {
    const upload = await api
      .post('/v1/uploads')
      .attach('file', Buffer.from(`${userData}# once\n`), 'user-data')
    const { id } = upload.body as { id: string }
    const build = await submit({ inputs: { userData: { upload: id } } })
    assert.equal(build.spec.inputs?.userData?.upload, id)
  })

  it('answers the same build to the same Idempotency-Key, and refuses another request with it', async () => {
    const send = (body: object) => api.post('/v1/builds').set('idempotency-key', 'once').send(body)
    const [first, second] = await Promise.all([send(spec), send(spec)])
    const third = await send(spec)
    const accepted = [first, second, third].filter((response) => response.status === 202)
    assert.ok(accepted.length >= 2)
    assert.equal(new Set(accepted.map((response) => (response.body as Build).id)).size, 1)
    assert.equal(third.headers['idempotent-replayed'], 'true')
    const other = await send({ ...spec, labels: {} })
    assert.deepEqual(
      [other.status, (other.body as Problem).type],
      [422, 'urn:edgesmith:problem:idempotency-key-reused'],
    )
  })

  it('lets an Idempotency-Key be used again when the first request was refused', async () => {
    const send = (body: object) => api.post('/v1/builds').set('idempotency-key', 'refused').send(body)
    assert.equal((await send({ ...spec, canvos: { tag: 'v0.0.1' } })).status, 422)
    assert.equal((await send(spec)).status, 202)
  })

  it('lists builds in pages, newest first, by state, target and label', async () => {
    const label = `batch=${Date.now()}`
    const labels = Object.fromEntries([label.split('=')]) as Record<string, string>
    const ids: string[] = []
    for (let index = 0; index < 5; index++) ids.unshift((await submit({ labels })).id)
    const listed: string[] = []
    let cursor: string | undefined
    do {
      const page = await api
        .get('/v1/builds')
        .query({ label, state: 'queued', target: 'iso', limit: 2, cursor })
      assert.equal(page.status, 200, page.text)
      const { items, nextCursor } = page.body as BuildPage
      assert.ok(items.length <= 2)
      listed.push(...items.map((build) => build.id))
      cursor = nextCursor
    } while (cursor !== undefined)
    assert.deepEqual(listed, ids)
    const none = await api.get('/v1/builds').query({ label, state: 'running' })
    assert.deepEqual(none.body, { items: [] })
    const bad = await api.get('/v1/builds').query({ cursor: '!' })
    assert.equal(bad.status, 400)
  })

  it('keeps an accepted build in the object store, before anybody is told of it', async () => {
    const build = await submit()
    assert.deepEqual(await readAccepted(harness.store, build.id), { build })
    await api.post(`/v1/builds/${build.id}/cancel`)
    const retried = await api.post(`/v1/builds/${build.id}/retry`)
    assert.deepEqual(await readAccepted(harness.store, build.id), { build: retried.body as Build })
    await api.post(`/v1/builds/${build.id}/cancel`)
    assert.equal((await api.delete(`/v1/builds/${build.id}`)).status, 204)
    assert.equal(await readAccepted(harness.store, build.id), undefined)
  })

  it('cancels, retries and deletes a queued build, and tells each by an event', async () => {
    const { id } = await submit()
    const early = await api.delete(`/v1/builds/${id}`)
    assert.equal(early.status, 409)
    const canceled = await api.post(`/v1/builds/${id}/cancel`)
    assert.deepEqual([canceled.status, (canceled.body as Build).state], [202, 'canceled'])
    assert.equal((await api.post(`/v1/builds/${id}/cancel`)).status, 409)
    const retried = await api.post(`/v1/builds/${id}/retry`)
    assert.deepEqual(
      [retried.status, (retried.body as Build).state, (retried.body as Build).attempt],
      [202, 'queued', 2],
    )
    await api.post(`/v1/builds/${id}/cancel`)

    const events = await api.get(`/v1/builds/${id}/events`)
    assert.match(events.headers['content-type'] ?? '', /^text\/event-stream/)
    const sent = parseEvents(events.text)
    assert.deepEqual(
      sent.map(({ data }) => [data.state, data.attempt]),
      [
        ['queued', 1],
        ['canceled', 1],
        ['queued', 2],
        ['canceled', 2],
      ],
    )
    const resumed = await api.get(`/v1/builds/${id}/events`).set('last-event-id', sent[1]?.id ?? '')
    assert.deepEqual(parseEvents(resumed.text), sent.slice(2))
    const unknown = await api.get(`/v1/builds/${id}/events`).set('last-event-id', 'nonsense')
    assert.equal(unknown.status, 400)

    assert.equal((await api.get(`/v1/builds/${id}/logs`)).text, '')
    assert.equal((await api.delete(`/v1/builds/${id}`)).status, 204)
    assert.equal((await api.get(`/v1/builds/${id}`)).status, 404)
    assert.deepEqual(
      (await harness.keys()).filter((key) => key.includes(id)),
      [],
    )
  })

  it('follows a build that goes on', async () => {
    const { id } = await submit()
    const response = await fetch(`${harness.url}/v1/builds/${id}/events`)
    let text = ''
    assert.ok(response.body)
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      if (text === '') await api.post(`/v1/builds/${id}/cancel`)
      text += chunk
    }
    assert.deepEqual(
      parseEvents(text).map(({ data }) => data.state),
      ['queued', 'canceled'],
    )
  })

  it('opens a stream at once where nothing has happened since', async () => {
    const { id } = await submit()
    const url = `${harness.url}/v1/builds/${id}/events`
    const first = await fetch(url)
    assert.ok(first.body)
    let text = ''
    for await (const chunk of first.body.pipeThrough(new TextDecoderStream())) {
      text += chunk
      if (text.includes('\ndata: ') && text.endsWith('\n\n')) break
    }
    const [queued] = parseEvents(text)
    // Heartbeats come every 15 seconds.
    const resumed = await fetch(url, {
      headers: { 'last-event-id': queued?.id ?? '' },
      signal: AbortSignal.timeout(10_000),
    })
    assert.equal(resumed.status, 200)
    await resumed.body?.cancel()
    await api.post(`/v1/builds/${id}/cancel`)
  })

  it('validates without keeping anything', async () => {
    const before = await harness.keys()
    const response = await api
      .post('/v1/validations')
      .field('spec', 'arguments: {ARCH: amd64, ISO_NAM: x}')
      .attach('userData', Buffer.from('stylus: {}\n'), 'user-data')
    assert.equal(response.status, 200, response.text)
    const { valid, diagnostics } = response.body as {
      valid: boolean
      diagnostics: { code: string; source: string }[]
    }
    assert.equal(valid, false)
    assert.ok(diagnostics.some(({ code }) => code === 'arguments.unknown'))
    assert.ok(diagnostics.some(({ source }) => source === 'userData'))
    assert.deepEqual(await harness.keys(), before)
  })
})

type SentEvent = { id: string; event: string; data: { state: string; attempt: number } }

function parseEvents(text: string): SentEvent[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('id:'))
    .map((block) => {
      const [, id = '', event = '', data = ''] = /^id: (.*)\nevent: (.*)\ndata: (.*)$/.exec(block) ?? []
      return { id, event, data: JSON.parse(data) as SentEvent['data'] }
    })
}
