import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { checkIso } from '@edgesmith/iso/check'
import { objectsOf, type Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import type { UserDataSlot } from '@edgesmith/stamp/slot'
import { stamp } from '@edgesmith/stamp/stamp'
import { assertSameFiles } from '../../../test/support/same-files.ts'
import { allLayouts, path, Workshop, type Layout } from '../../../test/support/image-workshop.ts'
import { entriesOf, readInEveryTree } from './trees.ts'
import { readWithXorriso } from './xorriso.ts'

const capacity = 256 * 1024
const placeholder = placeholderUserData(capacity)
const userData = Buffer.from(
  '#cloud-config\nstylus:\n  site:\n    name: store-0042\n    tags: {city: "Tórshavn"}\n',
)
const sizes = [1, userData.length, 2047, 2048, 2049, capacity - 1, capacity]

describe('stamp', () => {
  let workshop: Workshop
  const bases = {} as Record<Layout, { image: Manifest; slot: UserDataSlot }>

  async function makeBase(layout: Layout, key: string, ...options: string[]) {
    const image = await workshop.make(layout, key, placeholder, ...options)
    const slot = await findSlot(workshop.read(image), path, placeholder)
    assert.ok(slot, `there is a slot in the layout ${layout}`)
    return { image, slot }
  }

  before(async () => {
    workshop = await Workshop.open()
    for (const layout of allLayouts) bases[layout] = await makeBase(layout, `${layout}.iso`)
  })
  after(() => workshop[Symbol.asyncDispose]())

  for (const layout of allLayouts) {
    it(`puts user-data of any size in every tree of the layout ${layout}`, async () => {
      const { image, slot } = bases[layout]
      for (const size of [0, ...sizes]) {
        const bytes = randomBytes(size)
        const stamped = workshop.read(await workshop.stamp(image, slot, bytes))
        const read = await readInEveryTree(stamped, path)
        assert.equal(read.size, slot.lengthFields.length)
        for (const [tree, found] of read) assert.ok(found.equals(bytes), `${size} bytes in ${tree}`)
        const report = await checkIso(stamped)
        assert.deepEqual(report, await checkIso(workshop.read(image)))
        assert.deepEqual(report.faults, [])
      }
    })

    it(`equals the image with that user-data that xorriso makes, file for file, in the layout ${layout}`, async () => {
      const { image, slot } = bases[layout]
      for (const size of [userData.length, 1, capacity]) {
        const bytes = size === userData.length ? userData : randomBytes(size)
        const made = await workshop.make(layout, 'made.iso', bytes)
        const stamped = await workshop.stamp(image, slot, bytes)
        await assertSameFiles(workshop.read(made), workshop.read(stamped))
      }
    })

    it(`changes nothing else of the layout ${layout}`, async () => {
      const { image, slot } = bases[layout]
      const before = await buffer(openManifest(workshop.store, image))
      const stamped = await workshop.stamp(image, slot, userData)
      const after = await buffer(openManifest(workshop.store, stamped))
      assert.equal(after.length, before.length)
      for (const bytes of [before, after]) {
        bytes.fill(0, slot.offset, slot.offset + slot.capacity)
        for (const field of slot.lengthFields) bytes.fill(0, field, field + 8)
      }
      assert.ok(after.equals(before))
    })

    it(`is read by xorriso, by every kind of names, in the layout ${layout}`, async () => {
      const { image, slot } = bases[layout]
      for (const size of sizes) {
        const bytes = randomBytes(size)
        const stamped = await workshop.stamp(image, slot, bytes)
        const whole = await workshop.export(stamped, 'stamped.iso')
        assert.ok((await readWithXorriso(whole, 'any', path)).equals(bytes), `${size} bytes by Rock Ridge`)
        if (layout === 'plain') continue
        assert.ok((await readWithXorriso(whole, 'norock', path)).equals(bytes), `${size} bytes by Joliet`)
        const partition = await workshop.export(stamped, 'partition.iso', 16 * 2048)
        for (const names of ['any', 'norock'] as const) {
          const found = await readWithXorriso(partition, names, path)
          assert.ok(found.equals(bytes), `${size} bytes by ${names} in the partition`)
        }
      }
    })
  }

  it('leaves nothing of the placeholder, nor of what was stamped before', async () => {
    const { image, slot } = bases.gpt
    const stamped = await workshop.stamp(image, slot, userData)
    const bytes = await buffer(openManifest(workshop.store, stamped))
    assert.equal(bytes.indexOf('Edgesmith reserves'), -1)
    const rest = bytes.subarray(slot.offset + userData.length, slot.offset + slot.capacity)
    assert.ok(rest.every((byte) => byte === 0))
  })

  it('stores the user-data and 8 bytes', async () => {
    const { slot, image } = bases.gpt
    assert.equal(stamp(slot, userData).bytes.length, userData.length + 8)
    assert.deepEqual(objectsOf(await workshop.stamp(image, slot, userData)), ['gpt.iso', 'stamp'])
  })

  it('puts any user-data that fits in its place', async () => {
    const { image, slot } = bases.gpt
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: capacity }), fc.integer(), async (size, seed) => {
        const bytes = Buffer.alloc(size, `${seed}`)
        const stamped = workshop.read(await workshop.stamp(image, slot, bytes))
        const read = await readInEveryTree(stamped, path)
        assert.deepEqual([...read.keys()], ['primary 0', 'joliet 0', 'primary 32768', 'joliet 32768'])
        for (const found of read.values()) assert.ok(found.equals(bytes))
      }),
      { numRuns: 60 },
    )
  })

  it('patches no place with nothing', () => {
    const { slot } = bases.gpt
    for (const size of [0, 1, capacity]) {
      const patches = stamp(slot, Buffer.alloc(size)).patches('stamp', 0)
      assert.ok(patches.every(({ extent }) => extent.length > 0))
      const replaced = patches.reduce((sum, { extent }) => sum + extent.length, 0)
      assert.equal(replaced, capacity + 4 * 8)
    }
  })

  it('refuses user-data that does not fit', () => {
    const { slot } = bases.gpt
    for (const size of [capacity + 1, capacity + 2048, 1024 * 1024]) {
      assert.throws(() => stamp(slot, Buffer.alloc(size)), RangeError)
    }
    assert.throws(() => stamp({ ...slot, capacity: 2048 }, Buffer.alloc(2049)), RangeError)
  })

  it('works in an image of more than 4 GiB, behind the first 4 GiB', async () => {
    for (const name of ['part00', 'part01']) {
      await workshop.write(`/opt/spectrocloud/content/huge.zst_${name}`, Buffer.from('begin'))
      await using file = await open(workshop.file(`/opt/spectrocloud/content/huge.zst_${name}`), 'r+')
      await file.truncate(2_200_000_000)
    }
    try {
      const options = ['--sort-weight', '10', '/opt/spectrocloud/content']
      const { image, slot } = await makeBase('gpt', 'huge.iso', ...options)
      assert.ok(slot.offset > 2 ** 32, `the user-data is at byte ${slot.offset}`)
      const stamped = await workshop.stamp(image, slot, userData)
      const reader = workshop.read(stamped)
      assert.deepEqual((await checkIso(reader)).faults, [])
      const entries = await entriesOf(reader, path)
      assert.equal(entries.size, 4)
      for (const found of (await readInEveryTree(reader, path)).values()) assert.ok(found.equals(userData))
      const whole = await workshop.export(stamped, 'huge-stamped.iso')
      assert.ok((await readWithXorriso(whole, 'any', path)).equals(userData))
      assert.ok((await readWithXorriso(whole, 'norock', path)).equals(userData))
    } finally {
      for (const name of ['part00', 'part01']) {
        await rm(workshop.file(`/opt/spectrocloud/content/huge.zst_${name}`))
      }
    }
  })
})
