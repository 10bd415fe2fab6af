import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { Type } from 'typebox'
import { readJson, writeJson, writeJsonIfAbsent } from '../src/json-object.ts'
import { NoSuchObject } from '../src/object-store.ts'
import type { ObjectEntry, ObjectStore } from '../src/object-store.ts'
import { partOffset, partSize } from '../src/parts.ts'
import { bytesOf, bytesStream, failingStream, KiB, MiB, sha256Of, stalledStream } from './byte-streams.ts'

export type StoreUnderTest = AsyncDisposable & {
  store: ObjectStore
  /** How many unfinished writes to the key the store still holds. */
  countUnfinished(key: string): Promise<number>
}

/** What every object store has to do. */
export function testObjectStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let opened: StoreUnderTest
    let store: ObjectStore

    before(async () => {
      opened = await open()
      store = opened.store
    })
    after(() => opened[Symbol.asyncDispose]())
    afterEach(async () => {
      for (const { key } of await listAll(store, '')) await store.remove(key)
    })

    for (const size of [0, 1, 100 * KiB, 8 * MiB - 1, 8 * MiB, 8 * MiB + 1, 45 * MiB]) {
      it(`returns the ${size} bytes of a stream as they were`, async () => {
        assert.deepEqual(await store.put('a/b/data', bytesStream(size)), { size })
        assert.equal(await sha256Of(await store.get('a/b/data')), await sha256Of(bytesStream(size)))
        assert.equal((await store.stat('a/b/data'))?.size, size)
      })
    }

    for (const size of [0, 5, 9 * MiB]) {
      it(`returns the ${size} bytes of a buffer as they were`, async () => {
        assert.deepEqual(await store.put('a', bytesOf(size), { contentType: 'text/plain' }), { size })
        assert.deepEqual(await buffer(await store.get('a')), bytesOf(size))
      })
    }

    it('reads ranges into buffers', async () => {
      await store.put('digits', Buffer.from('0123456789'))
      const into = Buffer.alloc(4)
      const read = async (offset: number, length: number) => {
        await using reader = await store.openRange('digits', { offset, length })
        const texts: string[] = []
        for (let count = await reader.read(into); count > 0; count = await reader.read(into)) {
          texts.push(into.toString('latin1', 0, count))
        }
        return texts
      }
      assert.deepEqual(await read(0, 10), ['0123', '4567', '89'])
      assert.deepEqual(await read(3, 5), ['3456', '7'])
      assert.deepEqual(await read(8, 5), ['89'])
      assert.deepEqual(await read(10, 5), [])
      assert.deepEqual(await read(3, 0), [])
      await assert.rejects(store.openRange('letters', { offset: 0, length: 1 }), NoSuchObject)
    })

    it('joins pieces of objects', async () => {
      await store.put('large', bytesStream(12 * MiB))
      await store.put('small', Buffer.from('0123456789'))
      const large = bytesOf(12 * MiB)
      const pieces = [
        { length: 3, object: 'small', offset: 2 },
        { length: 11 * MiB, object: 'large', offset: 1000 },
        { length: 4, object: 'small', offset: 6 },
        { length: 9 * MiB, zeros: true },
        { length: 1, object: 'small', offset: 0 },
      ] as const
      const { size } = await store.join('joined', pieces)
      const expected = Buffer.concat([
        Buffer.from('234'),
        large.subarray(1000, 1000 + 11 * MiB),
        Buffer.from('6789'),
        Buffer.alloc(9 * MiB),
        Buffer.from('0'),
      ])
      assert.equal(size, expected.length)
      assert.ok((await buffer(await store.get('joined'))).equals(expected))
      assert.deepEqual(await store.join('joined', pieces.slice(0, 1)), { size: 3, copied: 0 })
      assert.equal((await buffer(await store.get('joined'))).toString(), '234')
      assert.equal((await store.join('joined', [])).size, 0)
      assert.equal((await store.stat('joined'))?.size, 0)

      const lost = { length: 6 * MiB, object: 'lost', offset: 0 }
      await assert.rejects(store.join('never', [pieces[1], lost]), NoSuchObject)
      assert.equal(await store.stat('never'), undefined)
      assert.equal(await opened.countUnfinished('never'), 0)
    })

    it('reads ranges', async () => {
      await store.put('digits', Buffer.from('0123456789'))
      const read = async (offset?: number, length?: number) => {
        const range = {
          ...(offset === undefined ? {} : { offset }),
          ...(length === undefined ? {} : { length }),
        }
        return (await buffer(await store.get('digits', range))).toString()
      }
      assert.equal(await read(0), '0123456789')
      assert.equal(await read(3), '3456789')
      assert.equal(await read(3, 4), '3456')
      assert.equal(await read(undefined, 2), '01')
      assert.equal(await read(9, 1), '9')
      assert.equal(await read(8, 100), '89')
      assert.equal(await read(4, 0), '')
      assert.equal(await read(10), '')
      assert.equal(await read(11, 5), '')
      await assert.rejects(read(-1), RangeError)
      await assert.rejects(read(0, 1.5), RangeError)
    })

    it('reads a range of an object of several parts', async () => {
      await store.put('large', bytesStream(20 * MiB))
      const range = { offset: 8 * MiB - 3, length: 9 * MiB }
      assert.deepEqual(
        await buffer(await store.get('large', range)),
        bytesOf(20 * MiB).subarray(range.offset, range.offset + range.length),
      )
    })

    it('replaces an object', async () => {
      await store.put('a', bytesStream(10 * MiB))
      await store.put('a', Buffer.from('new'))
      assert.equal((await buffer(await store.get('a'))).toString(), 'new')
      assert.equal((await store.stat('a'))?.size, 3)
    })

    it('tells when an object was stored', async () => {
      const before = Date.now()
      await store.put('a', Buffer.from('x'))
      const modifiedAt = (await store.stat('a'))?.modifiedAt.getTime()
      assert.ok(modifiedAt !== undefined)
      // S3 tells whole seconds.
      assert.ok(modifiedAt >= before - 1000 && modifiedAt <= Date.now() + 1000)
    })

    it('has no object it was not given', async () => {
      await store.put('a/b', Buffer.from('x'))
      for (const key of ['missing', 'a', 'a/b/c', 'a/c']) {
        assert.equal(await store.stat(key), undefined)
        await assert.rejects(store.get(key), (error) => error instanceof NoSuchObject && error.key === key)
        await assert.rejects(store.get(key, { offset: 2, length: 0 }), NoSuchObject)
        await store.remove(key)
      }
      assert.equal((await store.stat('a/b'))?.size, 1)
    })

    it('removes an object, and once more without complaint', async () => {
      await store.put('a/b', Buffer.from('x'))
      await store.remove('a/b')
      await store.remove('a/b')
      assert.equal(await store.stat('a/b'), undefined)
      assert.deepEqual(await listAll(store, ''), [])
    })

    it('lists the objects of a prefix in the order of their keys', async () => {
      const keys = ['a+b', 'a-b', 'a.b', 'a/1', 'a/2/x', 'a/2/y', 'a0', 'ab/1', 'b']
      for (const key of keys.toReversed()) await store.put(key, Buffer.from(key))
      const list = async (prefix: string) => (await listAll(store, prefix)).map(({ key }) => key)
      assert.deepEqual(await list(''), keys)
      assert.deepEqual(await list('a/'), ['a/1', 'a/2/x', 'a/2/y'])
      assert.deepEqual(await list('a/2'), ['a/2/x', 'a/2/y'])
      assert.deepEqual(await list('a/2/y'), ['a/2/y'])
      assert.deepEqual(await list('ab'), ['ab/1'])
      assert.deepEqual(await list('c/'), [])
      const [entry] = await listAll(store, 'a/2/x')
      assert.equal(entry?.size, 5)
      assert.ok(entry.modifiedAt.getTime() > Date.now() - 60_000)
    })

    it('lists more objects than one answer of the server holds', async () => {
      const keys = Array.from({ length: 1010 }, (_, index) => `many/${String(index).padStart(4, '0')}`)
      await inBatches(keys, 20, (key) => store.put(key, Buffer.from('x')))
      assert.deepEqual(
        (await listAll(store, 'many/')).map(({ key }) => key),
        keys,
      )
      await inBatches(keys, 20, (key) => store.remove(key))
    })

    it('stores under an absent key for exactly one of many at once', async () => {
      const contents = Array.from({ length: 20 }, (_, index) => Buffer.from(`writer ${index}`))
      const won = await Promise.all(contents.map((content) => store.putIfAbsent('entries/one', content)))
      assert.equal(won.filter(Boolean).length, 1)
      assert.deepEqual(await buffer(await store.get('entries/one')), contents[won.indexOf(true)])
      assert.equal(await store.putIfAbsent('entries/one', Buffer.from('late')), false)
      await store.remove('entries/one')
      assert.equal(await store.putIfAbsent('entries/one', Buffer.from('again')), true)
    })

    for (const size of [0, 100 * KiB, 30 * MiB]) {
      it(`leaves nothing of a stream that fails after ${size} bytes`, async () => {
        const failure = new Error('the line was cut')
        await assert.rejects(store.put('cut/data', failingStream(size, failure)), failure)
        assert.deepEqual(await listAll(store, ''), [])
        assert.equal(await opened.countUnfinished('cut/data'), 0)
      })

      it(`leaves nothing of a put that is aborted after ${size} bytes`, async () => {
        const abort = new AbortController()
        const reason = new Error('no longer wanted')
        const { stream, stalled } = stalledStream(size)
        const rejected = assert.rejects(store.put('cut/data', stream, { signal: abort.signal }), reason)
        await stalled
        abort.abort(reason)
        await rejected
        assert.ok(stream.destroyed)
        assert.deepEqual(await listAll(store, ''), [])
        assert.equal(await opened.countUnfinished('cut/data'), 0)
      })
    }

    it('refuses a put whose signal is aborted already', async () => {
      const reason = new Error('no longer wanted')
      const signal = AbortSignal.abort(reason)
      await assert.rejects(store.put('a', Buffer.from('x'), { signal }), reason)
      await assert.rejects(store.put('a', bytesStream(20 * MiB), { signal }), reason)
      assert.deepEqual(await listAll(store, ''), [])
    })

    it('keeps the old object when a put fails', async () => {
      await store.put('a', Buffer.from('old'))
      await assert.rejects(store.put('a', failingStream(10 * MiB, new Error('cut'))), /cut/)
      assert.equal((await buffer(await store.get('a'))).toString(), 'old')
    })

    it('never mixes what several write to one key', async () => {
      const size = 9 * MiB
      const isWhole = (bytes: Buffer) => bytes.length === size && bytes.equals(Buffer.alloc(size, bytes[0]))
      await store.put('shared', Buffer.alloc(size, 0))
      const writing = Promise.all(
        [1, 2, 3, 4, 5].map((digit) =>
          store.put('shared', Readable.from([Buffer.alloc(size, digit)], { objectMode: false })),
        ),
      )
      for (let round = 0; round < 5; round += 1) {
        assert.ok(isWhole(await buffer(await store.get('shared'))))
      }
      await writing
      assert.ok(isWhole(await buffer(await store.get('shared'))))
      assert.equal(await opened.countUnfinished('shared'), 0)
    })

    it('puts and removes beside each other in one directory', async () => {
      const keys = Array.from({ length: 20 }, (_, index) => `busy/deep/${index}`)
      for (let round = 0; round < 25; round += 1) {
        await Promise.all(
          keys.map(async (key) => {
            await store.put(key, Buffer.from(key))
            await store.remove(key)
          }),
        )
      }
      assert.deepEqual(await listAll(store, ''), [])
    })

    it('streams a large object in and out in bounded memory', async () => {
      const size = 256 * MiB
      const limit = 96 * MiB
      const peak = await peakMemoryGrowth(async () => {
        await store.put('large', bytesStream(size))
        assert.equal(await sha256Of(await store.get('large')), await sha256Of(bytesStream(size)))
      })
      assert.ok(peak < limit, `memory grew by ${Math.round(peak / MiB)} MiB`)
    })

    it('waits for a slow reader', async () => {
      await store.put('large', bytesStream(64 * MiB))
      const peak = await peakMemoryGrowth(async () => {
        let size = 0
        const chunks: AsyncIterable<Buffer> = await store.get('large')
        for await (const chunk of chunks) {
          size += chunk.length
          await delay(1)
        }
        assert.equal(size, 64 * MiB)
      })
      assert.ok(peak < 24 * MiB, `memory grew by ${Math.round(peak / MiB)} MiB`)
    })

    it('refuses keys that are not plain paths', async () => {
      const refused = [
        '',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        '../a',
        'a/../b',
        'a/./b',
        '.incoming/x',
        'a b',
        'a\\b',
        'a\0',
        'ä',
        'a'.repeat(1025),
      ]
      for (const key of refused) {
        await assert.rejects(store.put(key, Buffer.from('x')), RangeError)
        await assert.rejects(store.putIfAbsent(key, Buffer.from('x')), RangeError)
        await assert.rejects(store.get(key), RangeError)
        await assert.rejects(store.stat(key), RangeError)
        await assert.rejects(store.remove(key), RangeError)
      }
      await assert.rejects(listAll(store, '../'), RangeError)
      await assert.rejects(listAll(store, '/'), RangeError)
    })

    it('makes an object of parts, in the order of their numbers, the last one of any size', async () => {
      const target = await store.beginParts('in-parts/data')
      const bytes = bytesOf(partOffset(3) + 5)
      // A part that is sent again takes the place of the first, and parts behind the last are left out.
      await store.putPart(target, 1, Buffer.alloc(partSize(1), 9))
      await store.putPart(target, 1, bytes.subarray(0, partOffset(2)))
      await store.putPart(target, 2, bytes.subarray(partOffset(2), partOffset(3)))
      await store.putPart(target, 3, Buffer.alloc(partSize(3), 9))
      await store.putPart(target, 3, bytes.subarray(partOffset(3)))
      await store.putPart(target, 4, Buffer.alloc(partSize(4), 9))
      assert.equal(await store.stat('in-parts/data'), undefined)
      const parts = { count: 3, size: bytes.length }
      await store.completeParts(target, parts)
      assert.ok(bytes.equals(await buffer(await store.get('in-parts/data'))))
      await store.completeParts(target, parts)
      await store.abortParts(target)
      assert.equal((await store.stat('in-parts/data'))?.size, bytes.length)
    })

    it('leaves nothing of parts that are aborted, and takes no more of them', async () => {
      const target = await store.beginParts('in-parts/aborted')
      await store.putPart(target, 1, bytesOf(partSize(1)))
      await store.abortParts(target)
      await store.abortParts(target)
      await assert.rejects(store.completeParts(target, { count: 1, size: partSize(1) }), NoSuchObject)
      assert.deepEqual(await listAll(store, ''), [])
    })

    it('does not make an object of fewer bytes than it should have', async () => {
      const target = await store.beginParts('in-parts/short')
      await store.putPart(target, 1, bytesOf(partSize(1)))
      await assert.rejects(store.completeParts(target, { count: 2, size: partSize(1) + 1 }))
      assert.equal(await store.stat('in-parts/short'), undefined)
      await store.abortParts(target)
    })

    it('keeps JSON', async () => {
      const Site = Type.Object({ name: Type.String() })
      assert.equal(await readJson(store, 'site.json', Site), undefined)
      await writeJson(store, 'site.json', { name: 'store-0042' })
      assert.deepEqual(await readJson(store, 'site.json', Site), { name: 'store-0042' })
      assert.equal(await writeJsonIfAbsent(store, 'site.json', { name: 'other' }), false)
      await writeJson(store, 'site.json', { name: 42 })
      await assert.rejects(readJson(store, 'site.json', Site), /site\.json does not hold/)
      await store.put('site.json', Buffer.from('{'))
      await assert.rejects(readJson(store, 'site.json', Site), /site\.json does not hold/)
    })

    it('is ready', async () => {
      await store.check()
    })
  })
}

async function listAll(store: ObjectStore, prefix: string): Promise<ObjectEntry[]> {
  return Array.fromAsync(store.list(prefix))
}

async function inBatches<Item>(items: Item[], size: number, action: (item: Item) => Promise<unknown>) {
  for (let start = 0; start < items.length; start += size) {
    await Promise.all(items.slice(start, start + size).map(action))
  }
}

/** By how much the resident memory of this process grows at most while the action runs, in bytes. */
async function peakMemoryGrowth(action: () => Promise<void>): Promise<number> {
  const start = process.memoryUsage.rss()
  let peak = start
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 5)
  try {
    await action()
  } finally {
    clearInterval(timer)
  }
  return peak - start
}
