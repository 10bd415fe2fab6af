import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { NoSuchObject } from '@edgesmith/store/object-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { version } from 'uuid'
import { dataKey, findArtifact, publishArtifact, removeArtifact } from '../src/artifacts.ts'

const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'
const content = Buffer.alloc(300_000, 'installer')

describe('artifacts', () => {
  let root: string
  let store: ObjectStore

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'edgesmith-artifacts-'))
    store = await openDirectoryStore(root)
  })
  afterEach(() => rm(root, { recursive: true }))

  const publish = (name = 'installer.iso') =>
    publishArtifact(store, { buildId, name, source: streamOf(content) })

  it('publishes a file with its digest, size and media type', async () => {
    const artifact = await publish()
    assert.deepEqual(
      { ...artifact, id: '', createdAt: '' },
      {
        id: '',
        buildId,
        name: 'installer.iso',
        size: content.length,
        sha256: createHash('sha256').update(content).digest('hex'),
        etag: createHash('sha256').update(content).digest('hex'),
        mediaType: 'application/x-iso9660-image',
        createdAt: '',
      },
    )
    assert.equal(version(artifact.id), 7)
    assert.deepEqual((await findArtifact(store, artifact.id))?.artifact, artifact)
    assert.deepEqual(await buffer(await store.get(dataKey(artifact.id))), content)
    assert.deepEqual(
      await buffer(await store.get(dataKey(artifact.id), { offset: 1000, length: 20 })),
      content.subarray(1000, 1020),
    )
  })

  it('publishes an empty file', async () => {
    const artifact = await publishArtifact(store, { buildId, name: 'empty.txt', source: streamOf() })
    assert.equal(artifact.size, 0)
    assert.deepEqual((await findArtifact(store, artifact.id))?.artifact, artifact)
  })

  it('keeps artifacts of one name apart', async () => {
    const [first, second] = [await publish(), await publish()]
    assert.notEqual(first.id, second.id)
    await removeArtifact(store, first.id)
    assert.equal(await findArtifact(store, first.id), undefined)
    assert.deepEqual((await findArtifact(store, second.id))?.artifact, second)
  })

  it('cannot be found before all of it is stored', async () => {
    const source = new PassThrough()
    const publishing = publishArtifact(store, { buildId, name: 'installer.iso', source })
    source.write(content)
    assert.deepEqual(await Array.fromAsync(store.list('artifacts/')), [])
    source.end()
    assert.equal((await publishing).size, content.length)
  })

  it('leaves nothing when the stream fails or the signal aborts', async () => {
    const failing = new PassThrough()
    failing.write(content)
    const failed = assert.rejects(publishArtifact(store, { buildId, name: 'a', source: failing }), /lost/)
    failing.destroy(new Error('lost'))
    await failed

    const signal = AbortSignal.abort(new Error('canceled'))
    const aborted = publishArtifact(store, { buildId, name: 'a', source: streamOf(content), signal })
    await assert.rejects(aborted, /canceled/)
    assert.deepEqual(await Array.fromAsync(store.list('')), [])
  })

  it('leaves no data when the record cannot be written', async () => {
    const full: ObjectStore = {
      put: async (key, body, options) => {
        if (key.endsWith('.json')) throw new Error('no space left')
        return store.put(key, body, options)
      },
      putIfAbsent: (key, body) => store.putIfAbsent(key, body),
      get: (key, range) => store.get(key, range),
      openRange: (key, range) => store.openRange(key, range),
      join: (key, pieces, options) => store.join(key, pieces, options),
      stat: (key) => store.stat(key),
      remove: (key) => store.remove(key),
      list: (prefix) => store.list(prefix),
      beginParts: (key) => store.beginParts(key),
      putPart: (target, number, bytes) => store.putPart(target, number, bytes),
      completeParts: (target, parts) => store.completeParts(target, parts),
      abortParts: (target) => store.abortParts(target),
      check: () => store.check(),
      patient: () => full,
    }
    const publishing = publishArtifact(full, { buildId, name: 'a', source: streamOf(content) })
    await assert.rejects(publishing, /no space left/)
    assert.deepEqual(await Array.fromAsync(store.list('')), [])
  })

  it('removes an artifact, and once more without complaint', async () => {
    const artifact = await publish()
    await removeArtifact(store, artifact.id)
    await removeArtifact(store, artifact.id)
    assert.deepEqual(await Array.fromAsync(store.list('')), [])
    await assert.rejects(store.get(dataKey(artifact.id)), NoSuchObject)
  })

  it('finds nothing under what is no id', async () => {
    for (const id of ['', '..', '../../etc/passwd', 'data', '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11']) {
      assert.equal(await findArtifact(store, id), undefined)
      await removeArtifact(store, id)
    }
  })
})

function streamOf(...chunks: Buffer[]): Readable {
  return Readable.from(chunks, { objectMode: false })
}
