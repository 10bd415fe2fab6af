import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { bootImageFaults } from '@edgesmith/iso/boot-images'
import { checkIso } from '@edgesmith/iso/check'
import { compareTrees } from '@edgesmith/iso/compare-trees'
import { walkTree } from '@edgesmith/iso/tree'
import { readVolumeSets, volumesOf } from '@edgesmith/iso/volume-sets'
import { bufferReader } from '../../../test/support/buffer-reader.ts'
import { contents, makeNewLayout, makeOldLayout, openImageWorkshop } from './images.ts'

/** The directory records of a file, one of each tree. */
async function recordsOf(image: Buffer, path: string): Promise<number[]> {
  const reader = bufferReader(image)
  const records: number[] = []
  for (const volume of (await readVolumeSets(reader)).flatMap(volumesOf)) {
    for await (const entry of walkTree(reader, volume)) {
      if (entry.path === path) records.push(...entry.recordOffsets)
    }
  }
  return records
}

function moveBlock(image: Buffer, record: number): Buffer {
  const moved = Buffer.from(image)
  const block = moved.readUInt32LE(record + 2) + 1
  moved.writeUInt32LE(block, record + 2)
  moved.writeUInt32BE(block, record + 6)
  return moved
}

describe('the trees and boot images of an ISO', () => {
  let workshop: Awaited<ReturnType<typeof openImageWorkshop>>
  let newLayout: Buffer
  let oldLayout: Buffer

  before(async () => {
    workshop = await openImageWorkshop()
    newLayout = await readFile(await makeNewLayout(workshop.directory))
    oldLayout = await readFile(await makeOldLayout(workshop.directory))
  })
  after(() => workshop[Symbol.asyncDispose]())

  it('agree in the images that xorriso makes', async () => {
    for (const [image, trees] of [
      [newLayout, 4],
      [oldLayout, 1],
    ] as const) {
      const found = await compareTrees(bufferReader(image))
      assert.equal(found.trees, trees)
      const paths = found.entries.map(({ path }) => path)
      for (const path of Object.keys(contents)) assert.ok(paths.includes(path), path)
      const { bootEntries, partitions } = await checkIso(bufferReader(image))
      assert.deepEqual(bootImageFaults(bootEntries, found.entries, partitions), [])
    }
  })

  it('differ when any one of them has a file at another place', async () => {
    const records = await recordsOf(newLayout, '/files-iso/config.yaml')
    assert.equal(new Set(records).size, 4)
    for (const record of records) {
      const image = moveBlock(newLayout, record)
      await assert.rejects(compareTrees(bufferReader(image)), { code: 'invalid-directory' })
    }
  })

  it('are wrong when the catalogue names a boot image where nothing begins', async () => {
    for (const image of [newLayout, oldLayout]) {
      const { bootEntries, partitions } = await checkIso(bufferReader(image))
      const { entries } = await compareTrees(bufferReader(image))
      for (const entry of bootEntries) {
        const moved = { ...entry, offset: entry.offset + 512 }
        const [fault] = bootImageFaults([moved], entries, partitions)
        assert.equal(fault?.code, 'invalid-boot-catalog')
        assert.deepEqual(bootImageFaults([{ ...moved, bootable: false }], entries, partitions), [])
      }
    }
  })
})
