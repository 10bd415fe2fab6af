import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { readSquashfs } from '@edgesmith/iso/squashfs'
import { bufferReader } from '../../../test/support/buffer-reader.ts'

describe('readSquashfs', () => {
  let directory: string
  let image: Buffer

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-squashfs-'))
    await mkdir(join(directory, 'root/etc'), { recursive: true })
    await writeFile(join(directory, 'root/etc/os-release'), 'ID=kairos\n')
    await writeFile(join(directory, 'root/data'), randomBytes(300_000))
    await promisify(execFile)('mksquashfs', [
      ...[
        join(directory, 'root'),
        join(directory, 'rootfs.squashfs'),
        '-comp',
        'zstd',
        '-quiet',
        '-no-progress',
      ],
    ])
    image = await readFile(join(directory, 'rootfs.squashfs'))
  })
  after(() => rm(directory, { recursive: true }))

  const read = (bytes: Buffer) => readSquashfs(bufferReader(bytes), 0, bytes.length)

  it('reads what mksquashfs wrote, anywhere in an image', async () => {
    const surrounded = Buffer.concat([randomBytes(2048), image, randomBytes(2048)])
    for (const found of [
      await read(image),
      await readSquashfs(bufferReader(surrounded), 2048, image.length),
    ]) {
      assert.equal(found.compression, 'zstd')
      assert.equal(found.blockSize, 131_072)
      assert.equal(found.inodeCount, 4)
      assert.ok(found.bytesUsed > 300_000 && found.bytesUsed <= image.length)
    }
  })

  it('refuses one whose end is missing, at any place', async () => {
    const { bytesUsed } = await read(image)
    for (const size of [0, 50, 96, 4096, bytesUsed - 1]) {
      await assert.rejects(read(image.subarray(0, size)), { code: 'invalid-squashfs' }, `${size} bytes`)
    }
    await assert.rejects(readSquashfs(bufferReader(image.subarray(0, 50)), 0, image.length), {
      code: 'truncated',
    })
  })

  it('refuses one whose superblock has any bit flipped that says where something is', async () => {
    // Not: when it was made, how many inodes, ids and fragments it has, its flags, the lower bits of sizes
    // that stay possible, and the place of extended attributes.
    const fields = { magic: 0, blockSize: 12, blockLog: 22, version: 28 }
    for (const [field, offset] of Object.entries(fields)) {
      const bits = field === 'magic' || field === 'blockSize' ? 32 : 16
      for (let bit = 0; bit < bits; bit++) {
        const flipped = Buffer.from(image)
        const at = offset + Math.floor(bit / 8)
        flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (bit % 8)), at)
        await assert.rejects(read(flipped), { code: 'invalid-squashfs' }, `${field}, bit ${bit}`)
      }
    }
    for (const [field, offset] of Object.entries({
      size: 40,
      ids: 48,
      inodes: 64,
      directories: 72,
      fragments: 80,
    })) {
      for (let bit = 24; bit < 64; bit++) {
        const flipped = Buffer.from(image)
        const at = offset + Math.floor(bit / 8)
        flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (bit % 8)), at)
        await assert.rejects(read(flipped), { code: 'invalid-squashfs' }, `${field}, bit ${bit}`)
      }
    }
  })

  it('refuses an index that is overwritten', async () => {
    const ids = Number(image.readBigUInt64LE(48))
    const damaged = Buffer.from(image)
    damaged.fill(0xff, ids, ids + 8)
    await assert.rejects(read(damaged), { code: 'invalid-squashfs' })
  })

  it('ends on any bytes with an answer or an IsoError', async () => {
    for (let round = 0; round < 300; round++) {
      const noise = Buffer.concat([image.subarray(0, 4), randomBytes(92), image.subarray(96, 8192)])
      noise.writeUInt16LE(4, 28)
      noise.writeUInt16LE(0, 30)
      await assert.rejects(read(noise), { name: 'IsoError' })
    }
  })
})
