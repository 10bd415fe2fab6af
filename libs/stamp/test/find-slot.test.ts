import assert from 'node:assert/strict'
import { link, rm } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { readVolumes } from '@edgesmith/iso/volume'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import type { Manifest } from '@edgesmith/manifest/manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import { allLayouts, longPath, path, Workshop, type Layout } from '../../../test/support/image-workshop.ts'
import { bothEndian, withBytes } from '../../../test/support/with-bytes.ts'
import { entriesOf } from './trees.ts'

const trees = { gpt: 4, mbr: 4, auroraboot: 4, plain: 1 }
const placeholder = placeholderUserData(5000)

describe('findSlot', () => {
  let workshop: Workshop
  const images = {} as Record<Layout, Manifest>
  let reader: RandomAccess

  before(async () => {
    workshop = await Workshop.open()
    for (const layout of allLayouts)
      images[layout] = await workshop.make(layout, `${layout}.iso`, placeholder)
    reader = workshop.read(images.gpt)
  })
  after(() => workshop[Symbol.asyncDispose]())

  for (const layout of allLayouts) {
    it(`finds the file and its length in every tree of the layout ${layout}`, async () => {
      const image = workshop.read(images[layout])
      const slot = await findSlot(image, path, placeholder)
      assert.ok(slot)
      assert.equal(slot.capacity, 6144)
      assert.ok((await image.read(slot.offset, 5000)).equals(placeholder))
      assert.equal(slot.lengthFields.length, trees[layout])
      assert.equal(new Set(slot.lengthFields).size, trees[layout])
      for (const field of slot.lengthFields) {
        assert.deepEqual(await image.read(field, 8), bothEndian(5000))
      }
      assert.equal((await entriesOf(image, path)).size, trees[layout])
    })

    it(`finds a file whose name Joliet cuts, in the layout ${layout}`, async () => {
      const slot = await findSlot(workshop.read(images[layout]), longPath, Buffer.from('#cloud-config\n'))
      // The file has the same bytes as another; they lie in different places.
      assert.equal(slot?.lengthFields.length, trees[layout])
    })
  }

  it('finds none where the file is absent, called otherwise, a directory, or has other bytes', async () => {
    assert.equal(await findSlot(reader, '/config.yaml', placeholder), undefined)
    assert.equal(await findSlot(reader, '/FILES-ISO/CONFIG.YAML', placeholder), undefined)
    assert.equal(await findSlot(reader, '/files-iso', placeholder), undefined)
    assert.equal(await findSlot(reader, path, placeholderUserData(4999)), undefined)
    assert.equal(await findSlot(reader, path, Buffer.from(placeholder).fill('x', 4999)), undefined)
    assert.equal(await findSlot(reader, '/empty', Buffer.alloc(0)), undefined)
    // The zeros behind the file are no part of it.
    const longer = Buffer.concat([placeholder, Buffer.alloc(1)])
    assert.equal(await findSlot(reader, path, longer), undefined)
  })

  it('finds none where another file has the same data', async () => {
    const twin = workshop.file('/opt/twin.yaml')
    await workshop.write(path, placeholder)
    await link(workshop.file(path), twin)
    try {
      for (const layout of allLayouts) {
        const image = workshop.read(await workshop.make(layout, 'twin.iso', placeholder))
        const [one, other] = [await entriesOf(image, path), await entriesOf(image, '/opt/twin.yaml')]
        assert.deepEqual(
          one.get('primary 0')?.extents,
          other.get('primary 0')?.extents,
          'xorriso shares the data',
        )
        assert.equal(await findSlot(image, path, placeholder), undefined)
      }
    } finally {
      await rm(twin)
    }
  })

  it('finds none where a tree names the same data twice by one name', async () => {
    const twin = workshop.file('/files-iso/donfig.yaml')
    await workshop.write(path, placeholder)
    await link(workshop.file(path), twin)
    try {
      const linked = workshop.read(await workshop.make('plain', 'doubled.iso', placeholder))
      const doubled = await renamed(linked, Buffer.from('donfig.yaml'), Buffer.from('config.yaml'))
      await assert.rejects(entriesOf(doubled, path), /twice/)
      assert.equal(await findSlot(doubled, path, placeholder), undefined)
    } finally {
      await rm(twin)
    }
  })

  it('finds none where a Joliet tree calls the file otherwise', async () => {
    const [from, to] = [ucs2('config.yaml'), ucs2('donfig.yaml')]
    assert.equal(await findSlot(await renamed(reader, from, to), path, placeholder), undefined)
  })

  it('finds none in a tree without Rock Ridge names, nor beside a tree that is not read', async () => {
    const norock = await workshop.make('plain', 'norock.iso', placeholder, '--norock')
    assert.equal(await findSlot(workshop.read(norock), path, placeholder), undefined)
    const enhanced = await workshop.make('plain', 'enhanced.iso', placeholder, '-iso-level', '4')
    assert.equal((await readVolumes(workshop.read(enhanced))).unreadTrees, 1)
    assert.equal(await findSlot(workshop.read(enhanced), path, placeholder), undefined)
  })

  it('finds none where one of the trees has it in another place, of another size, or not at all', async () => {
    const entries = [...(await entriesOf(reader, path)).values()]
    const other = [...(await entriesOf(reader, '/files-iso/another.yaml')).values()]
    assert.equal(entries.length, 4)
    for (const [index, { recordOffsets }] of entries.entries()) {
      const record = recordOffsets[0] ?? 0
      const block = (await reader.read(record + 2, 4)).readUInt32LE(0)
      const changes = {
        moved: [record + 2, bothEndian(block + 10)],
        shorter: [record + 10, bothEndian(4096)],
        hidden: [record + 2, await reader.read((other[index]?.recordOffsets[0] ?? 0) + 2, 16)],
      } as const
      for (const [name, change] of Object.entries(changes)) {
        const found = await findSlot(withBytes(reader, change), path, placeholder)
        assert.equal(found, undefined, `${name} in tree ${index}`)
      }
    }
  })

  it('finds none where another file of one tree alone refers to any sector of the file', async () => {
    const records = await entriesOf(reader, path)
    for (const [tree, { recordOffsets }] of await entriesOf(reader, '/files-iso/another.yaml')) {
      const block = (await reader.read((records.get(tree)?.recordOffsets[0] ?? 0) + 2, 4)).readUInt32LE(0)
      for (const sector of [0, 1, 2]) {
        const shared = withBytes(reader, [(recordOffsets[0] ?? 0) + 2, bothEndian(block + sector)])
        assert.equal(await findSlot(shared, path, placeholder), undefined, `sector ${sector} in ${tree}`)
      }
    }
  })

  it('finds none where a boot image or the boot catalogue lies', async () => {
    const slot = await findSlot(reader, path, placeholder)
    assert.ok(slot)
    const sector = Buffer.alloc(4)
    sector.writeUInt32LE(slot.offset / 2048 + 1)
    const catalog = (await readVolumes(reader)).bootCatalogOffset ?? 0
    assert.equal(await findSlot(withBytes(reader, [catalog + 32 + 8, sector]), path, placeholder), undefined)
  })

  it('finds none where other bytes follow in the last sector', async () => {
    const slot = await findSlot(reader, path, placeholder)
    assert.ok(slot)
    for (const place of [slot.offset + 5000, slot.offset + slot.capacity - 1]) {
      assert.equal(await findSlot(withBytes(reader, [place, Buffer.from('x')]), path, placeholder), undefined)
    }
  })

  it('finds none where the file has several extents', async () => {
    const changes: [number, Buffer][] = []
    for (const { recordOffsets } of (await entriesOf(reader, '/files-iso/another.yaml')).values()) {
      changes.push([(recordOffsets[0] ?? 0) + 25, Buffer.from([0x80])])
    }
    const several = withBytes(reader, ...changes)
    assert.equal((await entriesOf(several, path)).get('primary 0')?.extents.length, 2)
    assert.equal(await findSlot(several, path, placeholder), undefined)
  })

  it('throws for an image that is damaged', async () => {
    const [entry] = (await entriesOf(reader, path)).values()
    const damaged = withBytes(reader, [(entry?.recordOffsets[0] ?? 0) + 10, Buffer.from([0xff])])
    await assert.rejects(findSlot(damaged, path, placeholder), { name: 'IsoError' })
  })
})

/** An image in which one name stands in place of another of the same length, wherever that is. */
async function renamed(reader: RandomAccess, from: Buffer, to: Buffer): Promise<RandomAccess> {
  const bytes = await reader.read(0, reader.size)
  const changes: [number, Buffer][] = []
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) changes.push([at, to])
  assert.ok(changes.length > 0)
  return withBytes(reader, ...changes)
}

/** The big-endian text of Joliet. */
function ucs2(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16()
}
