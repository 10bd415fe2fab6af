import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openDirectoryStore } from '../src/directory-store.ts'
import { KeptRanges } from '../src/kept-ranges.ts'
import { NoSuchObject, type ObjectStore } from '../src/object-store.ts'
import type { RangeSource } from '../src/range-reader.ts'

const KiB = 1024

describe('Ranges that are kept', () => {
  let directory: string
  let store: ObjectStore
  const bytes = randomBytes(200 * KiB)
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-kept-'))
    store = await openDirectoryStore(directory)
  })
  after(() => rm(directory, { recursive: true }))

  async function read(source: RangeSource, key: string, offset: number, length: number): Promise<Buffer> {
    await using reader = await source.openRange(key, { offset, length })
    const pieces: Buffer[] = []
    for (;;) {
      const buffer = Buffer.alloc(10_000)
      const filled = await reader.read(buffer)
      pieces.push(buffer.subarray(0, filled))
      if (filled < buffer.length) return Buffer.concat(pieces)
    }
  }

  it('are read once while they are among the last, and the same bytes again and again', async () => {
    await store.put('object', bytes)
    const source = new KeptRanges(store, { maximum: 2 })
    const wanted = [
      { offset: 5, length: 64 * KiB },
      { offset: 190 * KiB, length: 64 * KiB },
    ]
    for (const { offset, length } of wanted) {
      assert.deepEqual(await read(source, 'object', offset, length), bytes.subarray(offset, offset + length))
    }
    await store.remove('object')
    for (const { offset, length } of wanted.reverse()) {
      assert.deepEqual(await read(source, 'object', offset, length), bytes.subarray(offset, offset + length))
    }
    await store.put('other', bytes)
    assert.deepEqual(await read(source, 'other', 0, 10), bytes.subarray(0, 10))
    await assert.rejects(read(source, 'object', 190 * KiB, 64 * KiB), NoSuchObject)
    assert.deepEqual(await read(source, 'object', 5, 64 * KiB), bytes.subarray(5, 5 + 64 * KiB))
  })

  it('are not those larger than 64 KiB', async () => {
    await store.put('object', bytes)
    const source = new KeptRanges(store, { maximum: 2 })
    assert.deepEqual(await read(source, 'object', 0, 64 * KiB + 1), bytes.subarray(0, 64 * KiB + 1))
    await store.remove('object')
    await assert.rejects(read(source, 'object', 0, 64 * KiB + 1), NoSuchObject)
  })
})
