import assert from 'node:assert/strict'
import { chmod, rm, symlink, unlink } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { readBootCatalog } from '@edgesmith/iso/boot-catalog'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { readVolumes } from '@edgesmith/iso/volume'
import { allLayouts, Workshop } from './image-workshop.ts'
import { assertSameFiles } from './same-files.ts'
import { bothEndian, withBytes, withTurnedByte } from './with-bytes.ts'

const userData = Buffer.from('#cloud-config\n')

describe('assertSameFiles', () => {
  let workshop: Workshop
  let one: RandomAccess

  before(async () => {
    workshop = await Workshop.open()
    one = workshop.read(await workshop.make('gpt', 'one.iso', userData))
  })
  after(() => workshop[Symbol.asyncDispose]())

  async function makeOther(...options: string[]): Promise<RandomAccess> {
    return workshop.read(await workshop.make('gpt', 'other.iso', userData, ...options))
  }

  /** Asserts that an image is told from the first by what the message says. */
  async function assertTold(other: RandomAccess, message: RegExp): Promise<void> {
    await assert.rejects(assertSameFiles(one, other), { name: 'AssertionError', message })
    await assert.rejects(assertSameFiles(other, one), { name: 'AssertionError', message })
  }

  it('takes images for the same that are laid out otherwise', async () => {
    for (const layout of allLayouts) {
      const first = workshop.read(await workshop.make(layout, 'first.iso', userData))
      const sorted = layout === 'auroraboot' ? [] : ['--sort-weight', '10', '/rootfs.squashfs']
      const second = workshop.read(await workshop.make(layout, 'second.iso', userData, ...sorted))
      await assertSameFiles(first, second)
    }
    const moved = await makeOther('--sort-weight', '10', '/rootfs.squashfs')
    const [here, there] = [await readBoot(one), await readBoot(moved)]
    assert.notEqual(here[0]?.offset, there[0]?.offset, 'the boot image lies elsewhere')
    await assertSameFiles(one, moved)
  })

  it('tells a file that is other, more, fewer, or of another mode', async () => {
    const files = /files of the tree primary/
    await workshop.write('/files-iso/another.yaml', Buffer.from('#cloud-confiG\n'))
    await assertTold(await makeOther(), files)
    await workshop.write('/files-iso/another.yaml', Buffer.from('#cloud-config\n'))
    await chmod(workshop.file('/files-iso/another.yaml'), 0o755)
    await assertTold(await makeOther(), files)
    await chmod(workshop.file('/files-iso/another.yaml'), 0o644)
    await workshop.write('/more', Buffer.from('more'))
    await assertTold(await makeOther(), files)
    await rm(workshop.file('/more'))
    await assertSameFiles(one, await makeOther())
  })

  it('tells a link that leads elsewhere', async () => {
    await unlink(workshop.file('/boot/link'))
    await symlink('grub2', workshop.file('/boot/link'))
    await assertTold(await makeOther(), /files of the tree primary/)
    await unlink(workshop.file('/boot/link'))
    await symlink('grub2/grub.cfg', workshop.file('/boot/link'))
  })

  it('tells other trees and other partitions', async () => {
    const mbr = workshop.read(await workshop.make('mbr', 'mbr.iso', userData))
    await assertTold(mbr, /partitions differ/)
    await assertTold(await makeOther('-V', 'OTHER'), /directory trees differ/)
  })

  it('tells a boot image that is other, also where it is no file', async () => {
    const boots = await readBoot(one)
    assert.deepEqual(
      boots.map(({ platform }) => platform),
      ['bios', 'efi'],
    )
    for (const { offset } of boots) {
      for (const place of [0, 64, 2547, 2556])
        await assertTold(await withTurnedByte(one, offset + place), /boot entries differ/)
    }
  })

  it('tells a boot image whose record of its place is wrong', async () => {
    const [bios] = await readBoot(one)
    assert.ok(bios)
    for (const place of [8, 12, 16, 2548])
      await assertTold(await withTurnedByte(one, bios.offset + place), /boot entries differ/)
  })

  it('tells a boot entry that loads fewer bytes', async () => {
    const { bootCatalogOffset = 0 } = await readVolumes(one)
    await assertTold(await withTurnedByte(one, bootCatalogOffset + 32 + 6), /boot entries differ/)
  })

  it('tells a tree that alone is other', async () => {
    const inner = await readVolumes(one, 16 * 2048)
    assert.ok(inner.joliet)
    const bytes = await one.read(inner.joliet.root.offset, inner.joliet.root.length)
    const name = Buffer.from('rootfs.squashfs', 'utf16le').swap16()
    const record = bytes.indexOf(name) - 33
    assert.ok(record > 0)
    const size = bytes.readUInt32LE(record + 10) - 1
    const place = inner.joliet.root.offset + record + 10
    const shorter = withBytes(one, [place, bothEndian(size)])
    await assertTold(shorter, /files of the tree joliet COS_LIVE at byte 32768/)
  })
})

async function readBoot(reader: RandomAccess) {
  const { bootCatalogOffset = 0 } = await readVolumes(reader)
  return readBootCatalog(reader, bootCatalogOffset)
}
