import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openDirectoryStore } from '../src/directory-store.ts'
import { NoSuchObject, type ByteRange, type ObjectStore } from '../src/object-store.ts'
import { RangeCache } from '../src/range-cache.ts'
import type { RangeReader } from '../src/range-reader.ts'
import { MiB } from './byte-streams.ts'

type Opened = { key: string; range: Required<ByteRange>; position: number }

describe('Blocks of objects that are kept on the disk', () => {
  let directory: string
  let store: ObjectStore
  const bytes = randomBytes(40 * MiB)
  const failures: unknown[] = []
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-cache-'))
    store = await openDirectoryStore(join(directory, 'store'))
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await store.put(key, bytes)
  })
  after(() => rm(directory, { recursive: true }))

  /** A cache in a new directory, which reads of the store once `beforeRead` has ended. */
  async function openCache(
    beforeRead: (opened: Opened) => Promise<void>,
  ): Promise<{ cache: RangeCache; kept: string; fetched: Opened[]; mostAtOnce: () => number }> {
    const kept = await mkdtemp(join(directory, 'kept-'))
    const fetched: Opened[] = []
    let now = 0
    let most = 0
    const openRange = async (key: string, range: Required<ByteRange>): Promise<RangeReader> => {
      const reader = await store.openRange(key, range)
      const opened = { key, range, position: 0 }
      fetched.push(opened)
      now += 1
      most = Math.max(most, now)
      return {
        read: async (into) => {
          await beforeRead(opened)
          const read = await reader.read(into)
          opened.position += read
          return read
        },
        [Symbol.asyncDispose]: () => {
          now -= 1
          return reader[Symbol.asyncDispose]()
        },
      }
    }
    const source = new Proxy(store, {
      get: (target, name) => (name === 'openRange' ? openRange : (Reflect.get(target, name) as unknown)),
    })
    const cache = await RangeCache.open(source, {
      directory: kept,
      maximumBytes: 1024 * MiB,
      onUnusable: (error) => failures.push(error),
    })
    return { cache, kept, fetched, mostAtOnce: () => most }
  }

  async function readAll(reader: RangeReader): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (;;) {
      const buffer = Buffer.alloc(700_000)
      const filled = await reader.read(buffer)
      pieces.push(buffer.subarray(0, filled))
      if (filled < buffer.length) return Buffer.concat(pieces)
    }
  }

  it('are read while they are fetched, once for all who read them', async () => {
    const goOn = Promise.withResolvers<undefined>()
    const { cache, fetched } = await openCache(async ({ position }) => {
      if (position >= 2 * MiB) await goOn.promise
    })
    const range = { offset: 5, length: 20 * MiB }
    await using first = await cache.openRange('a', range)
    await using second = await cache.openRange('a', { offset: MiB, length: 3 * MiB })
    const beginning = Buffer.alloc(MiB)
    assert.equal(await first.read(beginning), MiB)
    assert.ok(beginning.equals(bytes.subarray(5, 5 + MiB)))
    assert.equal(await second.read(beginning), MiB)
    goOn.resolve(undefined)
    assert.ok((await readAll(first)).equals(bytes.subarray(5 + MiB, 5 + 20 * MiB)))
    assert.ok((await readAll(second)).equals(bytes.subarray(2 * MiB, 4 * MiB)))
    await using third = await cache.openRange('a', range)
    assert.ok((await readAll(third)).equals(bytes.subarray(5, 5 + 20 * MiB)))
    assert.deepEqual(
      fetched.map((opened) => opened.range.offset),
      [0, 16 * MiB],
    )
  })

  it('are fetched a few at a time, however many are read', async () => {
    const { cache, fetched, mostAtOnce } = await openCache(() => Promise.resolve())
    const all = ['a', 'b', 'c', 'd', 'e', 'f'].map(async (key) => {
      await using reader = await cache.openRange(key, { offset: 0, length: bytes.length })
      return (await readAll(reader)).equals(bytes)
    })
    assert.ok(!(await Promise.all(all)).includes(false))
    assert.equal(fetched.length, 18)
    assert.equal(mostAtOnce(), 4)
  })

  it('that cannot be fetched to the end fail who reads them, and are fetched anew for the next', async () => {
    const state = { isBroken: true }
    const { cache } = await openCache(({ position }) =>
      state.isBroken && position >= 4 * MiB ? Promise.reject(new Error('broken off')) : Promise.resolve(),
    )
    const range = { offset: 0, length: 10 * MiB }
    await using reader = await cache.openRange('a', range)
    await assert.rejects(readAll(reader), /broken off/)
    state.isBroken = false
    await using again = await cache.openRange('a', range)
    assert.ok((await readAll(again)).equals(bytes.subarray(0, 10 * MiB)))
    await assert.rejects(cache.openRange('none', range), NoSuchObject)
    assert.deepEqual(failures, [])
  })

  it('for which the disk becomes too full are read from the store', async () => {
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    const { cache, fetched } = await openCache(({ range, position }) =>
      range.offset === 0 && position === 4 * MiB ? Promise.reject(full) : Promise.resolve(),
    )
    await using reader = await cache.openRange('a', { offset: 0, length: 20 * MiB })
    assert.ok((await readAll(reader)).equals(bytes.subarray(0, 20 * MiB)))
    assert.deepEqual(failures.splice(0), [full])
    const unkept = fetched.find(({ range }) => range.offset > 0 && range.offset < 16 * MiB)
    assert.equal((unkept?.range.offset ?? 0) + (unkept?.range.length ?? 0), 16 * MiB)
  })

  it('that changed on the disk are read from the store, and fetched anew', async (context) => {
    // What was found to be good is not looked at again for a minute.
    context.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    const { cache, fetched, kept } = await openCache(() => Promise.resolve())
    const range = { offset: 3, length: 20 * MiB }
    const read = async (): Promise<Buffer> => {
      await using reader = await cache.openRange('a', range)
      return await readAll(reader)
    }
    await read()
    for (const at of [0, 5 * MiB, 16 * MiB - 1]) {
      context.mock.timers.tick(61_000)
      const [path = ''] = await listBlocks(kept)
      await using file = await open(path, 'r+')
      const byte = Buffer.alloc(1)
      await file.read(byte, 0, 1, at)
      byte.writeUInt8(byte.readUInt8() ^ 1)
      await file.write(byte, 0, 1, at)
      fetched.splice(0)
      assert.ok((await read()).equals(bytes.subarray(3, 3 + 20 * MiB)))
      assert.match(String(failures.splice(0)), /is damaged at or behind byte/)
      assert.deepEqual(
        fetched.map((opened) => Math.floor(opened.range.offset / (16 * MiB))),
        [0],
      )
      // It is not there any more, and then it is again.
      assert.ok((await read()).equals(bytes.subarray(3, 3 + 20 * MiB)))
      assert.equal(fetched.length, 2)
      assert.ok((await read()).equals(bytes.subarray(3, 3 + 20 * MiB)))
      assert.equal(fetched.length, 2)
    }
    assert.deepEqual(failures, [])
  })

  it('fail at once whose reader is closed', async () => {
    const never = Promise.withResolvers<undefined>()
    const { cache } = await openCache(async ({ position }) => {
      if (position >= MiB) await never.promise
    })
    const reader = await cache.openRange('a', { offset: 0, length: 16 * MiB })
    const reading = assert.rejects(readAll(reader), /The reader was closed/)
    await reader[Symbol.asyncDispose]()
    await reading
    never.resolve(undefined)
  })
})

/** The files of the blocks of a cache, by their numbers. */
async function listBlocks(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .sort((a, b) => Number(a.name) - Number(b.name))
    .map((entry) => join(entry.parentPath, entry.name))
}
