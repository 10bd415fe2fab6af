import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { openMinioStore } from '@edgesmith/store/minio-store'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import { PieceReader } from '@edgesmith/store/pieces'
import type { RangeReader, RangeSource } from '@edgesmith/store/range-reader'
import { startMinio } from '../../../deploy/minio/server.ts'
import { ImageReader } from '../src/image-reader.ts'
import { makeManifest, objectManifest, patchManifest, type Extent, type Manifest } from '../src/manifest.ts'
import { openManifest } from '../src/open-manifest.ts'

const MiB = 1024 ** 2
const base = randomBytes(9 * MiB)
const patch = randomBytes(200_000)

/** A base with small extents, large ones, zeros and a thousand changed lengths of a directory tree. */
function makeImage(): { manifest: Manifest; bytes: Buffer } {
  const patches: { offset: number; extent: Extent }[] = [
    { offset: 3 * MiB, extent: { length: 150_000, object: 'patch', offset: 11 } },
    { offset: 3 * MiB + 150_000, extent: { length: 400_000, zeros: true } },
  ]
  for (let index = 0; index < 1000; index += 1) {
    patches.push({
      offset: 5 * MiB + index * 50,
      extent: { length: 8, object: 'patch', offset: index * 150 },
    })
  }
  const bytes = Buffer.from(base)
  for (const { offset, extent } of patches) {
    if ('zeros' in extent) bytes.fill(0, offset, offset + extent.length)
    else patch.copy(bytes, offset, extent.offset, extent.offset + extent.length)
  }
  return { manifest: patchManifest(objectManifest('base', base.length), patches), bytes }
}

/** Counts what is opened and not closed. */
function counting(store: RangeSource): RangeSource & { opened: number; open: number } {
  const counted = {
    opened: 0,
    open: 0,
    async openRange(key: string, range: { offset: number; length: number }): Promise<RangeReader> {
      const reader = await store.openRange(key, range)
      counted.opened += 1
      counted.open += 1
      return {
        read: (into) => reader.read(into),
        [Symbol.asyncDispose]: () => {
          counted.open -= 1
          return reader[Symbol.asyncDispose]()
        },
      }
    },
  }
  return counted
}

function testImages(name: string, open: () => Promise<AsyncDisposable & { store: ObjectStore }>): void {
  describe(`images in ${name}`, () => {
    const { manifest, bytes } = makeImage()
    let opened: AsyncDisposable & { store: ObjectStore }
    let store: ObjectStore

    before(async () => {
      opened = await open()
      store = opened.store
      await store.put('base', base)
      await store.put('patch', patch)
    })
    after(() => opened[Symbol.asyncDispose]())

    it('are read as they are, whole and in ranges over extents', async () => {
      assert.deepEqual(await buffer(openManifest(store, manifest)), bytes)
      for (const [offset, length] of [
        [0, 0],
        [bytes.length, 0],
        [0, 1],
        [bytes.length - 1, 1],
        [3 * MiB - 5, 10],
        [3 * MiB - 5, 550_010],
        [5 * MiB + 3, 49_000],
        [3 * MiB + 150_001, 399_998],
      ] as const) {
        const read = await buffer(openManifest(store, manifest, { offset, length }))
        assert.ok(read.equals(bytes.subarray(offset, offset + length)), `${offset} ${length}`)
      }
      assert.throws(() => openManifest(store, manifest, { offset: bytes.length, length: 1 }), RangeError)
    })

    it('are read into buffers of any size', async () => {
      for (const size of [1000, 65_537, 10 * MiB]) {
        await using reader = new PieceReader(store, manifest.extents)
        const into = Buffer.alloc(size)
        let position = 0
        for (let read = await reader.read(into); read > 0; read = await reader.read(into)) {
          assert.ok(into.subarray(0, read).equals(bytes.subarray(position, position + read)))
          position += read
          assert.ok(read === size || position === bytes.length)
        }
        assert.equal(position, bytes.length)
      }
    })

    it('are read with few requests, and none is left open', async () => {
      const counted = counting(store)
      await buffer(openManifest(counted, manifest))
      // 3 large extents of the base, one of the patch; then blocks of 64 KiB around the small ones.
      assert.ok(counted.opened < 12, String(counted.opened))
      assert.equal(counted.open, 0)
    })

    it('close what they read when their reader goes', async () => {
      const counted = counting(store)
      const stream = openManifest(counted, manifest)
      for await (const _chunk of stream) break
      assert.ok(stream.destroyed)
      while (counted.open > 0) await new Promise(setImmediate)
      const reader = new PieceReader(counted, manifest.extents)
      await reader.read(Buffer.alloc(2 * MiB))
      assert.ok(counted.open > 0)
      await reader[Symbol.asyncDispose]()
      assert.equal(counted.open, 0)
    })

    it('fail where an object is missing or too short', async () => {
      const lost = makeManifest([
        { length: 100_000, object: 'patch', offset: 0 },
        { length: 100_000, object: 'lost', offset: 0 },
      ])
      await assert.rejects(buffer(openManifest(store, lost)), NoSuchObject)
      for (const length of [10, 150_000]) {
        const short = makeManifest([{ length, object: 'patch', offset: patch.length - length + 1 }])
        await assert.rejects(buffer(openManifest(store, short)), /ends within/)
      }
    })

    it('can be read at any offset', async () => {
      const image = new ImageReader(store, manifest)
      assert.equal(image.size, bytes.length)
      for (const [offset, length] of [
        [5 * MiB - 20, 200],
        [3 * MiB, 500_000],
        [bytes.length - 5, 100],
      ] as const) {
        assert.ok((await image.read(offset, length)).equals(bytes.subarray(offset, offset + length)))
      }
      assert.equal((await image.read(bytes.length, 10)).length, 0)
    })
  })
}

testImages('a directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-manifest-'))
  return {
    store: await openDirectoryStore(directory),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
})

testImages('MinIO', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-manifest-'))
  const server = await startMinio({ dataDir: directory })
  return {
    store: await openMinioStore({ ...server, bucket: 'edgesmith' }),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await rm(directory, { recursive: true })
    },
  }
})
