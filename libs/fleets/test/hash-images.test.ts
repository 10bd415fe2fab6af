import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { after, before, describe, it } from 'node:test'
import { makeManifest, objectManifest, patchManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { RangeSource } from '@edgesmith/store/range-reader'
import { hashImages } from '../src/hash-images.ts'

describe('hashImages', () => {
  let directory: string
  let store: ObjectStore
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-fleets-'))
    store = await openDirectoryStore(directory)
  })
  after(() => rm(directory, { recursive: true, force: true }))

  it('hashes images that share most of their bytes, and ones that share none', async () => {
    const base = randomBytes(1_000_003)
    const own = randomBytes(300)
    await store.put('base', base)
    await store.put('own', own)
    const whole = objectManifest('base', base.length)
    const images: [Manifest, Buffer][] = [[whole, base]]
    for (const [offset, length] of [
      [0, 100],
      [500_000, 200],
      [999_903, 100],
    ] as const) {
      const bytes = Buffer.from(base)
      own.copy(bytes, offset, 100, 100 + length)
      images.push([patchManifest(whole, [{ offset, extent: { length, object: 'own', offset: 100 } }]), bytes])
    }
    images.push([makeManifest([{ length: 700_000, zeros: true }]), Buffer.alloc(700_000)])
    images.push([makeManifest([]), Buffer.alloc(0)])
    let read = 0
    const counting: RangeSource = {
      openRange: (key, range) => {
        if (key === 'base') read += range.length
        return store.openRange(key, range)
      },
    }
    assert.deepEqual(
      await hashImages(
        counting,
        images.map(([manifest]) => manifest),
        new AbortController().signal,
      ),
      images.map(([, bytes]) => createHash('sha256').update(bytes).digest('hex')),
    )
    // Alone each of them would have read all of it.
    assert.ok(read < 2 * base.length, String(read))
  })

  it('leaves time for other work', async () => {
    const size = 64 * 1024 * 1024
    await store.put('large', randomBytes(size))
    const whole = objectManifest('large', size)
    const images = Array.from({ length: 16 }, (_, index) =>
      patchManifest(whole, [{ offset: index * 4096, extent: { length: 16, object: 'own', offset: index } }]),
    )
    const delay = monitorEventLoopDelay({ resolution: 5 })
    const startedAt = performance.now()
    delay.enable()
    await hashImages(store, images, new AbortController().signal)
    delay.disable()
    const elapsedMs = performance.now() - startedAt
    assert.ok(delay.max / 1e6 < elapsedMs / 8, `${delay.max / 1e6} ms of ${elapsedMs} ms`)
  })

  it('stops when it is told to', async () => {
    const stopping = new AbortController()
    stopping.abort(new Error('stop'))
    await assert.rejects(hashImages(store, [objectManifest('base', 10)], stopping.signal), /stop/)
  })
})
