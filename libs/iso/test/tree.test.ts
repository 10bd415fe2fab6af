import assert from 'node:assert/strict'
import { chmod, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { openFile, readEntry } from '@edgesmith/iso/file'
import { IsoError } from '@edgesmith/iso/fault'
import { openFileReader } from '@edgesmith/iso/random-access'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { walkTree } from '@edgesmith/iso/tree'
import type { TreeEntry } from '@edgesmith/iso/tree'
import { readBothEndian32, readVolumes, readVolumesIfAny } from '@edgesmith/iso/volume'
import type { Volume } from '@edgesmith/iso/volume'
import { readVolumeSets, volumesOf } from '@edgesmith/iso/volume-sets'
import {
  contents,
  makeImage,
  makeNewLayout,
  makeOldLayout,
  makeSparseImage,
  openImageWorkshop,
} from './images.ts'

async function list(reader: RandomAccess, volume: Volume): Promise<Map<string, TreeEntry>> {
  const entries = new Map<string, TreeEntry>()
  for await (const entry of walkTree(reader, volume)) entries.set(entry.path, entry)
  return entries
}

describe('walkTree', () => {
  let workshop: Awaited<ReturnType<typeof openImageWorkshop>>
  let newLayout: string

  before(async () => {
    workshop = await openImageWorkshop()
    newLayout = await makeNewLayout(workshop.directory)
  })
  after(() => workshop[Symbol.asyncDispose]())

  it('tells every path by its Rock Ridge name, and its content', async () => {
    await using reader = await openFileReader(newLayout)
    const { primary } = await readVolumes(reader)
    const entries = await list(reader, primary)
    for (const [path, bytes] of Object.entries(contents)) {
      const entry = entries.get(path)
      assert.ok(entry, `${path} is missing`)
      assert.equal(entry.type, 'file')
      assert.equal(entry.size, bytes.length)
      assert.deepEqual(await buffer(readEntry(reader, entry)), bytes)
    }
    assert.equal(entries.get('/boot/link')?.symlinkTarget, 'grub2/grub.cfg')
    assert.equal(entries.get('/opt/spectrocloud')?.type, 'directory')
  })

  it('reads the four trees of an image with a partition offset, which share their content', async () => {
    await using reader = await openFileReader(newLayout)
    const outer = await readVolumes(reader)
    const inner = await readVolumesIfAny(reader, 16 * 2048)
    assert.ok(outer.joliet && inner?.joliet)
    const path = '/files-iso/config.yaml'
    const offsets = new Set<number | undefined>()
    for (const volume of [outer.primary, outer.joliet, inner.primary, inner.joliet]) {
      offsets.add((await list(reader, volume)).get(path)?.extents[0]?.offset)
    }
    assert.equal(offsets.size, 1)
    assert.ok(!offsets.has(undefined))
    assert.equal(await readVolumesIfAny(reader, 64 * 2048), undefined)
  })

  it('finds each set of volume descriptors, and its trees', async () => {
    const found = async (path: string) => {
      await using reader = await openFileReader(path)
      const sets = await readVolumeSets(reader)
      return sets.flatMap(volumesOf).map(({ kind, base }) => `${kind} ${base}`)
    }
    assert.deepEqual(await found(newLayout), ['primary 0', 'joliet 0', 'primary 32768', 'joliet 32768'])
    assert.deepEqual(await found(await makeOldLayout(workshop.directory)), ['primary 0'])
  })

  it('tells where the record of each entry begins', async () => {
    await using reader = await openFileReader(newLayout)
    for (const volume of (await readVolumeSets(reader)).flatMap(volumesOf)) {
      for (const { path, extents, recordOffsets } of (await list(reader, volume)).values()) {
        assert.equal(recordOffsets.length, extents.length)
        for (const [index, offset] of recordOffsets.entries()) {
          const record = await reader.read(offset, 34)
          const block = readBothEndian32(record, 2, path)
          const extent = { offset: volume.base + block * 2048, length: readBothEndian32(record, 10, path) }
          assert.deepEqual(extent, extents[index], `${path} in the ${volume.kind} tree`)
        }
      }
    }
  })

  it('tells the mode of what has one, by Rock Ridge', async () => {
    await chmod(join(workshop.directory, 'tree/empty'), 0o640)
    await using reader = await openFileReader(await makeNewLayout(workshop.directory, 'modes.iso'))
    const { primary, joliet } = await readVolumes(reader)
    assert.ok(joliet)
    const entries = await list(reader, primary)
    assert.equal(entries.get('/empty')?.mode, 0o100640)
    assert.equal((entries.get('/boot/link')?.mode ?? 0) & 0o170000, 0o120000)
    assert.equal((await list(reader, joliet)).get('/empty')?.mode, undefined)
  })

  it('counts the trees that it does not read', async () => {
    const enhanced = await makeImage(workshop.directory, 'enhanced.iso', ['-R', '-J', '-iso-level', '4'])
    await using reader = await openFileReader(enhanced)
    await using other = await openFileReader(newLayout)
    assert.equal((await readVolumes(reader)).unreadTrees, 1)
    assert.equal((await readVolumes(other)).unreadTrees, 0)
  })

  it('falls back to Joliet names, then to ISO 9660 names', async () => {
    const joliet = await makeImage(workshop.directory, 'joliet.iso', ['-J', '-joliet-long', '--norock'])
    await using reader = await openFileReader(joliet)
    const { primary } = await readVolumes(reader)
    assert.ok((await list(reader, primary)).has('/FILES_IS/CONFIG.YAM'))
    assert.deepEqual(
      await buffer(await openFile(reader, '/files-iso/config.yaml')),
      contents['/files-iso/config.yaml'],
    )
  })

  it('follows directories that were moved because they lie too deep', async () => {
    const path = await makeImage(workshop.directory, 'deep.iso', [
      ...['-R', '-disallow_dir_id_ext', '-rr_reloc_dir', '/rr_moved'],
    ])
    await using reader = await openFileReader(path)
    const { primary } = await readVolumes(reader)
    const entries = await list(reader, primary)
    const deep = entries.get('/a/b/c/d/e/f/g/h/i/j/Deep file.txt')
    assert.ok(deep)
    assert.equal((await buffer(readEntry(reader, deep))).toString(), 'deep')
    assert.ok([...entries.keys()].every((entry) => !entry.startsWith('/rr_moved/')))
  })

  it('reads a file of more than 4 GiB, which has several extents', async () => {
    const size = 2 ** 32 + 5
    await mkdir(join(workshop.directory, 'sparse'))
    const huge = join(workshop.directory, 'sparse/huge.bin')
    const file = await open(huge, 'w')
    await file.write(Buffer.from('END!!'), 0, 5, 2 ** 32)
    await file.close()
    const image = await makeSparseImage(workshop.directory, 'huge.iso')
    await rm(huge)
    await using reader = await openFileReader(image)
    const { primary } = await readVolumes(reader)
    const entry = (await list(reader, primary)).get('/huge.bin')
    assert.ok(entry)
    assert.equal(entry.size, size)
    assert.ok(entry.extents.length > 1)
    assert.equal(new Set(entry.recordOffsets).size, entry.extents.length)
    const last = entry.extents.at(-1)
    assert.ok(last)
    assert.equal((await reader.read(last.offset + last.length - 5, 5)).toString(), 'END!!')
    const tail: TreeEntry = { ...entry, size: last.length, extents: [last] }
    const read = await buffer(readEntry(reader, tail))
    assert.equal(read.length, last.length)
    assert.equal(read.subarray(-5).toString(), 'END!!')
  })

  it('tells a file that is not there, and one that was cut off', async () => {
    await using reader = await openFileReader(newLayout)
    await assert.rejects(openFile(reader, '/no/such/file'), { name: 'IsoError', code: 'file-not-found' })
    const stream = await openFile(
      {
        ...reader,
        size: reader.size,
        read: (offset, length) =>
          reader.read(offset, offset > 100 * 2048 && length > 2048 ? length - 1 : length),
      },
      '/opt/spectrocloud/content/Core-Spectro-Content.With.A.Rather.Long.Name_part00',
    )
    await assert.rejects(buffer(stream), (error) => error instanceof IsoError && error.code === 'truncated')
  })

  it('ends on a directory that contains itself', async () => {
    const image = await makeImage(workshop.directory, 'loop.iso', ['--norock'])
    const bytes = await readFile(image)
    const root = bytes.readUInt32LE(16 * 2048 + 158) * 2048
    const name = bytes.indexOf('FILES_IS', root)
    bytes.copy(bytes, name - 33 + 2, root + 2, root + 18)
    const reader: RandomAccess = {
      size: bytes.length,
      read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
    }
    const { primary } = await readVolumes(reader)
    await assert.rejects(list(reader, primary), { code: 'invalid-directory' })
  })

  it('ends on each image with one damaged byte, with an entry or an IsoError', async () => {
    await using reader = await openFileReader(newLayout)
    const { primary } = await readVolumes(reader)
    const root = await reader.read(primary.root.offset, primary.root.length)
    for (let position = 0; position < root.length; position += 3) {
      const damaged: RandomAccess = {
        size: reader.size,
        async read(offset, length) {
          const bytes = await reader.read(offset, length)
          const index = primary.root.offset + position - offset
          if (index >= 0 && index < bytes.length) bytes.writeUInt8(bytes.readUInt8(index) ^ 0xff, index)
          return bytes
        },
      }
      try {
        await list(damaged, primary)
      } catch (error) {
        assert.ok(error instanceof IsoError, String(error))
      }
    }
  })
})
