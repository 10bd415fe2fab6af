import assert from 'node:assert/strict'
import { copyFile, open, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { checkIso } from '@edgesmith/iso/check'
import type { IsoReport } from '@edgesmith/iso/check'
import { readGpt } from '@edgesmith/iso/partition-table'
import { openFileReader } from '@edgesmith/iso/random-access'
import { contents, makeImage, makeNewLayout, makeOldLayout, openImageWorkshop } from './images.ts'

async function check(path: string): Promise<IsoReport> {
  await using reader = await openFileReader(path)
  return await checkIso(reader)
}

function codes(report: IsoReport): string[] {
  return report.faults.map(({ code }) => code)
}

describe('checkIso', () => {
  let workshop: Awaited<ReturnType<typeof openImageWorkshop>>
  let newLayout: string
  let oldLayout: string
  let plain: string

  before(async () => {
    workshop = await openImageWorkshop()
    newLayout = await makeNewLayout(workshop.directory)
    oldLayout = await makeOldLayout(workshop.directory)
    plain = await makeImage(workshop.directory, 'plain.iso', ['-V', 'PLAIN', '-R'])
  })
  after(() => workshop[Symbol.asyncDispose]())

  /** Copies an image and changes bytes of it. */
  async function patched(source: string, offset: number, bytes: Buffer): Promise<string> {
    const path = join(workshop.directory, 'patched.iso')
    await copyFile(source, path)
    const file = await open(path, 'r+')
    try {
      await file.write(bytes, 0, bytes.length, offset)
    } finally {
      await file.close()
    }
    return path
  }

  async function resized(source: string, size: number): Promise<string> {
    const path = join(workshop.directory, 'resized.iso')
    await copyFile(source, path)
    await truncate(path, size)
    return path
  }

  it('reads the layout of newer tags', async () => {
    const report = await check(newLayout)
    assert.deepEqual(report.faults, [])
    assert.equal(report.volumeId, 'COS_LIVE')
    assert.equal(report.volumeSize, (await stat(newLayout)).size)
    assert.deepEqual(
      report.bootEntries.map(({ platform, bootable, emulation }) => ({ platform, bootable, emulation })),
      [
        { platform: 'bios', bootable: true, emulation: 'none' },
        { platform: 'efi', bootable: true, emulation: 'none' },
      ],
    )
    const esp = report.partitions.find(({ type }) => type === 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b')
    assert.equal(esp?.table, 'gpt')
    assert.equal(esp.name, 'Appended2')
    assert.equal(esp.length, 4 * 1024 * 1024)
    assert.equal(report.bootEntries[1]?.offset, esp.offset, 'the EFI boot image is the appended partition')
    assert.equal(
      report.partitions.find(({ number, table }) => table === 'gpt' && number === 1)?.offset,
      16 * 2048,
    )
    assert.ok(report.partitions.some(({ table, type }) => table === 'mbr' && type === 'ee'))
  })

  it('reads the layout of older tags', async () => {
    const report = await check(oldLayout)
    assert.deepEqual(report.faults, [])
    assert.deepEqual(
      report.bootEntries.map(({ platform }) => platform),
      ['bios', 'efi'],
    )
    assert.ok(report.partitions.length > 0 && report.partitions.every(({ table }) => table === 'mbr'))
    assert.equal(report.fileCount, Object.keys(contents).length + 2)
  })

  it('finds an image that was cut at any place', async () => {
    for (const image of [newLayout, oldLayout]) {
      const { size } = await stat(image)
      const cuts = [1, 512, 2048, 300 * 1024, 1024 * 1024].map((bytes) => size - bytes)
      for (const cut of [...cuts, size / 2, 20 * 2048, 17 * 2048, 16 * 2048 + 100, 100, 0]) {
        const report = await check(await resized(image, Math.floor(cut)))
        assert.ok(report.faults.length > 0, `${image} cut to ${cut} bytes passes`)
        if (cut >= 20 * 2048) assert.ok(codes(report).includes('truncated'), `${image} cut to ${cut} bytes`)
      }
    }
  })

  it('finds by the backup GPT that the end is missing even when the volume says less', async () => {
    await using reader = await openFileReader(newLayout)
    const gpt = await readGpt(reader)
    assert.equal(gpt?.alternateOffset, reader.size - 512)
    const blocks = Buffer.alloc(8)
    blocks.writeUInt32LE(reader.size / 2048 - 1000)
    blocks.writeUInt32BE(reader.size / 2048 - 1000, 4)
    const smallVolume = await patched(newLayout, 16 * 2048 + 80, blocks)
    assert.deepEqual((await check(smallVolume)).faults, [])
    await truncate(smallVolume, reader.size - 512)
    assert.deepEqual(codes(await check(smallVolume)), ['truncated'])
  })

  it('takes padding zeros behind the end, and nothing else', async () => {
    const { size } = await stat(oldLayout)
    assert.deepEqual(codes(await check(await resized(oldLayout, size + 1024 * 1024))), [])
    assert.deepEqual(codes(await check(await resized(oldLayout, size + 20 * 1024 * 1024))), ['trailing-data'])
    assert.deepEqual(codes(await check(await patched(oldLayout, size + 10, Buffer.from('x')))), [
      'trailing-data',
    ])
  })

  it('finds that there is no boot catalogue', async () => {
    assert.deepEqual(codes(await check(plain)), ['no-boot-catalog'])
  })

  it('finds a boot catalogue that is damaged', async () => {
    const volumeOffset = 17 * 2048
    await using reader = await openFileReader(oldLayout)
    const catalog = (await reader.read(volumeOffset + 71, 4)).readUInt32LE(0) * 2048
    assert.deepEqual(codes(await check(await patched(oldLayout, catalog + 5, Buffer.from([7])))), [
      'invalid-boot-catalog',
    ])
    assert.deepEqual(codes(await check(await patched(oldLayout, catalog, Buffer.alloc(2048)))), [
      'invalid-boot-catalog',
    ])
  })

  it('finds a GPT that is damaged, lost, or differs from its backup', async () => {
    const { size } = await stat(newLayout)
    for (const [offset, bytes] of [
      [512 + 56, Buffer.from('damage')],
      [1024 + 60, Buffer.from('damage')],
      [512, Buffer.alloc(512)],
      [size - 512, Buffer.alloc(512)],
      [size - 512 + 56, Buffer.from('damage')],
    ] as const) {
      assert.deepEqual(codes(await check(await patched(newLayout, offset, bytes))), [
        'invalid-partition-table',
      ])
    }
  })

  it('finds that a file is not an ISO 9660 image', async () => {
    const path = join(workshop.directory, 'not.iso')
    for (const bytes of [Buffer.alloc(0), Buffer.from('text'), Buffer.alloc(100_000, 0xff)]) {
      await writeFile(path, bytes)
      assert.deepEqual(codes(await check(path)), ['not-iso9660'])
    }
    assert.deepEqual(codes(await check(await patched(oldLayout, 16 * 2048 + 80, Buffer.from([1])))), [
      'not-iso9660',
    ])
  })

  it('finds a directory that is damaged', async () => {
    await using reader = await openFileReader(oldLayout)
    const root = (await reader.read(16 * 2048 + 158, 4)).readUInt32LE(0) * 2048
    assert.deepEqual(codes(await check(await patched(oldLayout, root, Buffer.alloc(2048, 0xff)))), [
      'invalid-directory',
    ])
  })
})
