import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { discardUpload, stageUpload } from '../src/uploads.ts'
import { isProblem, keysOf, openTemporaryStore } from './temporary-store.ts'

const MiB = 1024 * 1024
const limits = { limitBytes: 64 * MiB, expandedLimitBytes: 200 * MiB }
const content = Buffer.concat([randomBytes(300_000), Buffer.alloc(300_000, 'text ')])
const zstd = zstdCompressSync(content, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
const gzip = gzipSync(content)
const skippable = Buffer.from('522a4d1803000000010203', 'hex')
const largeSkippable = Buffer.concat([Buffer.from('502a4d18', 'hex'), uint32(100_000), randomBytes(100_000)])

type Case = [name: string, bytes: Buffer]
const sound: Case[] = [
  ['a Zstandard file', zstd],
  ['a Zstandard file without a checksum', zstdCompressSync(content)],
  ['a short Zstandard file', zstdCompressSync('x')],
  ['a Zstandard file of nothing', zstdCompressSync('')],
  ['several Zstandard frames', Buffer.concat([zstd, zstd, zstdCompressSync('')])],
  ['skippable frames around a frame', Buffer.concat([skippable, largeSkippable, zstd, skippable])],
  ['many small frames', Buffer.concat(Array.from({ length: 3000 }, () => zstdCompressSync('a frame')))],
  ['a Zstandard file of the largest window', zstdCompressSync(content, level(22))],
  ['a gzip file', gzip],
  ['several gzip members', Buffer.concat([gzip, gzipSync('x')])],
  ['a gzip file padded with zeros', Buffer.concat([gzip, Buffer.alloc(512)])],
  ['a small file that grows a lot', zstdCompressSync(Buffer.alloc(60 * MiB))],
]
const broken: [...Case, fault: string][] = [
  ['a Zstandard file cut in a block', zstd.subarray(0, 200_000), 'zstd.truncated'],
  ['a Zstandard file without its last byte', zstd.subarray(0, -1), 'zstd.truncated'],
  ['a Zstandard file cut in its header', zstd.subarray(0, 5), 'zstd.truncated'],
  ['a second frame cut in its magic number', Buffer.concat([zstd, zstd.subarray(0, 3)]), 'zstd.truncated'],
  ['a skippable frame cut short', Buffer.concat([zstd, skippable.subarray(0, -1)]), 'zstd.truncated'],
  ['a Zstandard file with another byte in its content', flipped(zstd, 150_000), 'zstd.corrupt'],
  ['a Zstandard file with another checksum', flipped(zstd, zstd.length - 1), 'zstd.corrupt'],
  ['a Zstandard file with text behind it', Buffer.concat([zstd, Buffer.from('and more')]), 'zstd.corrupt'],
  ['a Zstandard file with zeros behind it', Buffer.concat([zstd, Buffer.alloc(512)]), 'zstd.corrupt'],
  ['a Zstandard header with random bytes', Buffer.concat([zstd.subarray(0, 9), randomBytes(99)]), ''],
  ['countless tiny frames', manyFrames(40_000), 'zstd.too-many-frames'],
  ['a window of 512 MiB', Buffer.from('28b52ffd0098010000', 'hex'), 'zstd.window-too-large'],
  ['a Zstandard bomb', zstdCompressSync(Buffer.alloc(150 * MiB)), 'zstd.bomb'],
  ['a gzip file cut short', gzip.subarray(0, -9), 'gzip.truncated'],
  ['a gzip file cut in its header', gzip.subarray(0, 5), 'gzip.truncated'],
  ['a second gzip member cut short', Buffer.concat([gzip, gzip.subarray(0, 99)]), 'gzip.truncated'],
  ['a gzip file with another CRC', flipped(gzip, gzip.length - 6), 'gzip.corrupt'],
  ['a gzip file with text behind it', Buffer.concat([gzip, Buffer.from('\x1fmore text')]), 'gzip.corrupt'],
  ['a gzip bomb', gzipSync(Buffer.alloc(150 * MiB)), 'gzip.bomb'],
]

describe('integrity of uploads', () => {
  let opened: AsyncDisposable & { store: ObjectStore }
  let store: ObjectStore
  before(async () => {
    opened = await openTemporaryStore()
    store = opened.store
  })
  after(() => opened[Symbol.asyncDispose]())

  for (const chunkSize of [64 * 1024, 777]) {
    for (const [name, bytes] of sound) {
      it(`takes ${name}, in chunks of ${chunkSize}`, async () => {
        const staged = await stageUpload(store, inChunks(bytes, chunkSize), limits)
        assert.equal(staged.size, bytes.length)
        await discardUpload(store, staged)
      })
    }
    for (const [name, bytes, fault] of broken) {
      it(`refuses ${name}, in chunks of ${chunkSize}`, async () => {
        const staging = stageUpload(store, inChunks(bytes, chunkSize), limits)
        await assert.rejects(staging, isProblem('corrupt-file', fault === '' ? undefined : fault))
        assert.deepEqual(await keysOf(store), [])
      })
    }
  }

  it('holds the size of the content to its limit', async () => {
    const bytes = zstdCompressSync(randomBytes(2 * MiB))
    const tight = { ...limits, expandedLimitBytes: 2 * MiB }
    await discardUpload(store, await stageUpload(store, inChunks(bytes, 65_536), tight))
    const tighter = { ...limits, expandedLimitBytes: 2 * MiB - 1 }
    const staging = stageUpload(store, inChunks(bytes, 65_536), tighter)
    await assert.rejects(staging, isProblem('corrupt-file', 'zstd.bomb'))
  })

  it('says what to do', async () => {
    await assert.rejects(stageUpload(store, inChunks(zstd.subarray(0, -1), 65_536), limits), (error) => {
      assert.ok(isProblem('corrupt-file')(error))
      assert.match((error as Error).message, /zstd -t/)
      return true
    })
  })
})

function inChunks(bytes: Buffer, size: number): Readable {
  const count = Math.ceil(bytes.length / size)
  const chunks = Array.from({ length: count }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
  return Readable.from(chunks, { objectMode: false })
}

function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes)
  changed.writeUInt8(changed.readUInt8(at) ^ 0x55, at)
  return changed
}

/** Frames of one empty block, nine bytes each. */
function manyFrames(count: number): Buffer {
  const frame = Buffer.from('28b52ffd2000010000', 'hex')
  return Buffer.alloc(frame.length * count, frame)
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function level(value: number): { params: Record<number, number> } {
  return { params: { [constants.ZSTD_c_compressionLevel]: value } }
}
