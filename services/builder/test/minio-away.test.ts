import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { baseKey, readBase } from '@edgesmith/bases/base-store'
import type { Build } from '@edgesmith/contract/build'
import { openFile } from '@edgesmith/iso/file'
import { Client } from 'minio'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { TrappedMinio, type Trap } from './trapped-minio.ts'

const userData = '#cloud-config\nstylus:\n  site:\n    edgeHostToken: not-a-real-token\n'

/** The documented time for which a builder waits for MinIO is no less, in milliseconds. */
const twoMinutesMs = 120_000

/** How often the builder tries in vain before MinIO is back. */
const missed = 5

/** When MinIO dies while a build publishes what Earthly left. */
const moments: Readonly<Record<string, Trap>> = {
  'as the ISO is sent': { request: /^PUT \S+\/bases\/[^/]+\/data[? ]/, when: 'sent' },
  'before it says that it has the ISO': { request: /^(PUT|POST) \S+\/bases\/[^/]+\/data[? ]/, when: 'done' },
  'as the base is recorded': { request: /^PUT \S+\/bases\/[^/]+\/base\.json[? ]/, when: 'sent' },
  'before it says that the base is recorded': {
    request: /^PUT \S+\/bases\/[^/]+\/base\.json[? ]/,
    when: 'done',
  },
  'as an artifact is recorded': { request: /^PUT \S+\/artifacts\//, when: 'sent' },
  'as the build is concluded': { request: /^PUT \S+\/builds\/[^/]+\/build\.json[? ]/, when: 'sent' },
}

describe('A build while MinIO is away', { timeout: 600_000 }, () => {
  const stack = new AsyncDisposableStack()
  let minio: TrappedMinio
  let harness: Harness
  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-away-'))
    stack.defer(() => rm(directory, { recursive: true }))
    minio = stack.use(await TrappedMinio.open(directory))
    harness = stack.use(
      await Harness.open({
        OBJECT_STORE: 'minio',
        MINIO_ENDPOINT: minio.endpoint,
        MINIO_ACCESS_KEY: minio.accessKey,
        MINIO_SECRET_KEY: minio.secretKey,
        BUILDER_LOST_LIMIT: '0',
      }),
    )
    stack.use(await startBuilder(harness.config))
  })
  after(() => stack.disposeAsync())

  it('may be away for two minutes', () => {
    const { objectStore } = harness.config
    assert.ok(objectStore.kind === 'minio' && (objectStore.patienceMs ?? 0) >= twoMinutesMs)
  })

  for (const [moment, trap] of Object.entries(moments)) {
    it(`goes on afterwards, and succeeds once: ${moment}`, async () => {
      const inputs = { userData: await harness.upload(`${userData}# ${moment}\n`) }
      const back = minio.awayAt(trap, { missed })
      const id = await harness.submit({ inputs })
      await Promise.all([back, harness.ended(id)])
      const build = await harness.ended(id)
      assert.equal(build.state, 'succeeded', JSON.stringify(build.failure, null, 1))
      assert.equal(build.attempt, 1)
      await assertRanOnce(id)
      await assertBytes(build, `${userData}# ${moment}\n`)
      await assertNothingElse(build)
      assert.deepEqual(await harness.leftovers({ buildId: id }), [])
    })
  }

  /** Its states were told once each, and Earthly ran once. */
  async function assertRanOnce(id: string): Promise<void> {
    const states: string[] = []
    for await (const { event } of await harness.events.read(id, { follow: false })) {
      if (event.type === 'state') states.push(event.state)
    }
    assert.deepEqual(states, ['queued', 'running', 'succeeded'])
  }

  async function assertBytes({ artifacts }: Build, expected: string): Promise<void> {
    const iso = artifacts.find(({ name }) => name.endsWith('.iso'))
    assert.ok(iso !== undefined)
    const image = await harness.image(iso)
    const hash = createHash('sha256')
    for (let at = 0; at < image.size; at += 2 ** 20) hash.update(await image.read(at, 2 ** 20))
    assert.equal(hash.digest('hex'), iso.sha256)
    assert.equal(await text(await openFile(image, '/files-iso/config.yaml')), expected)
  }

  /** The build left one base, its artifacts, and no part of an upload. */
  async function assertNothingElse({ id, artifacts }: Build): Promise<void> {
    const bases = new Set<string>()
    const recorded = new Set<string>()
    for await (const { key } of harness.store.list('bases/')) {
      const base = /^bases\/([^/]+)\/(?:data|base\.json)$/.exec(key)?.[1]
      if (base === undefined) continue
      const record = await readBase(harness.store, base)
      assert.ok(record !== undefined, `${baseKey.data(base)} has no record`)
      if (record.buildId === id) bases.add(base)
    }
    assert.equal(bases.size, 1)
    for await (const { key } of harness.store.list('artifacts/')) recorded.add(key.split('/')[1] ?? '')
    assert.ok(artifacts.every((artifact) => recorded.has(artifact.id)))
    const { endpoint, accessKey, secretKey } = minio
    const { hostname, port } = new URL(endpoint)
    const client = new Client({ accessKey, secretKey, endPoint: hostname, port: Number(port), useSSL: false })
    const { uploads } = await client.listIncompleteUploadsQuery('edgesmith', '', '', '', '')
    assert.deepEqual(uploads, [])
  }
})
