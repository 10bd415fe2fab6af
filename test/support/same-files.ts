import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readBootCatalog, type BootEntry } from '@edgesmith/iso/boot-catalog'
import { readEntry } from '@edgesmith/iso/file'
import { readGpt, readMbr } from '@edgesmith/iso/partition-table'
import { readExactly, type RandomAccess } from '@edgesmith/iso/random-access'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { sectorSize, type Extent } from '@edgesmith/iso/volume'
import { readVolumeSets, volumesOf } from '@edgesmith/iso/volume-sets'

/**
 * Asserts that two images are the same file for file: the same trees (ISO 9660 and Joliet, at the beginning and
 * at the partition offset), in each the same paths, types, Rock Ridge modes, link targets, sizes and bytes; the
 * same boot entries (platform, load size, bytes of the boot image); and the same kinds of partitions. Where
 * something lies within the image may differ. So the boot catalogue is compared by what it says, and a boot
 * image without the tables in which xorriso records its place, where these are right.
 */
export async function assertSameFiles(a: RandomAccess, b: RandomAccess): Promise<void> {
  const [one, other] = [await describeImage(a), await describeImage(b)]
  assert.deepEqual(other.partitions, one.partitions, 'the partitions differ')
  assert.deepEqual(other.boot, one.boot, 'the boot entries differ')
  assert.deepEqual([...other.trees.keys()], [...one.trees.keys()], 'the directory trees differ')
  for (const [name, files] of one.trees) {
    assert.deepEqual(other.trees.get(name), files, `the files of the tree ${name} differ`)
  }
}

type ImageDescription = {
  partitions: string[]
  boot: object[]
  /** By tree, what each path is. */
  trees: Map<string, Map<string, object>>
}

async function describeImage(reader: RandomAccess): Promise<ImageDescription> {
  const partitions = [...(await readMbr(reader)), ...((await readGpt(reader))?.partitions ?? [])]
  const sets = await readVolumeSets(reader)
  const catalogs = new Set<number>()
  const boots: BootEntry[] = []
  for (const { bootCatalogOffset, primary } of sets) {
    if (bootCatalogOffset === undefined) continue
    catalogs.add(bootCatalogOffset)
    boots.push(...(await readBootCatalog(reader, bootCatalogOffset, primary.base)))
  }
  const files = new FileReader(
    reader,
    catalogs,
    boots.map(({ offset }) => offset),
  )
  const trees = new Map<string, Map<string, object>>()
  /** Lengths by offset, for what a boot entry can stand for. */
  const lengths = new Map(partitions.map(({ offset, length }) => [offset, length]))
  for (const volume of sets.flatMap(volumesOf)) {
    const entries = new Map<string, object>()
    for await (const entry of walkTree(reader, volume)) {
      assert.ok(!entries.has(entry.path), `${entry.path} stands twice in a tree`)
      entries.set(entry.path, await files.describe(entry))
      const [extent] = entry.extents
      if (extent !== undefined && extent.length > 0) lengths.set(extent.offset, extent.length)
    }
    trees.set(`${volume.kind} ${volume.volumeId} at byte ${volume.base}`, entries)
  }
  return {
    partitions: partitions.map(({ table, number, type, name }) => [table, number, type, name].join(' ')),
    boot: await Promise.all(boots.map((boot) => files.describeBoot(boot, lengths.get(boot.offset)))),
    trees,
  }
}

class FileReader {
  readonly #reader: RandomAccess
  readonly #catalogs: ReadonlySet<number>
  readonly #boots: readonly number[]
  /** Digests by place: the trees of an image share their files. */
  readonly #digests = new Map<string, string>()

  constructor(reader: RandomAccess, catalogs: ReadonlySet<number>, boots: readonly number[]) {
    this.#reader = reader
    this.#catalogs = catalogs
    this.#boots = boots
  }

  async describe(entry: TreeEntry): Promise<object> {
    const { type, mode, symlinkTarget, size, extents } = entry
    const [extent] = extents
    if (type !== 'file' || extent === undefined) return { type, mode, symlinkTarget }
    if (size > 0 && this.#catalogs.has(extent.offset))
      return { type, mode, size, content: 'the boot catalogue' }
    const isBoot = size > 0 && this.#boots.includes(extent.offset)
    return { type, mode, size, sha256: isBoot ? await this.#bootDigest(extent) : await this.#digest(entry) }
  }

  /** `length` is that of the file or partition that begins there; without one it is what the firmware loads. */
  async describeBoot(entry: BootEntry, length = entry.loadLength): Promise<object> {
    const { platform, bootable, emulation, loadLength, offset } = entry
    const sha256 = await this.#bootDigest({ offset, length })
    return { platform, bootable, emulation, loadLength, length, sha256 }
  }

  async #digest(entry: TreeEntry): Promise<string> {
    const place = JSON.stringify(entry.extents)
    const known = this.#digests.get(place)
    if (known !== undefined) return known
    const hash = createHash('sha256')
    for await (const chunk of readEntry(this.#reader, entry) as AsyncIterable<Buffer>) hash.update(chunk)
    const digest = hash.digest('hex')
    this.#digests.set(place, digest)
    return digest
  }

  async #bootDigest({ offset, length }: Extent): Promise<string> {
    const bytes = await readExactly(this.#reader, offset, length, 'a boot image')
    return createHash('sha256').update(withoutPlace(bytes, offset)).digest('hex')
  }
}

/**
 * The boot image with marks in place of the two tables that tell where it lies, if it has them: bytes 8 to 63
 * by `-boot-info-table` (sector of the volume descriptor, sector and size of the image, checksum, zeros) and
 * the 8 bytes at 2548 by `--grub2-boot-info` (block of 512 bytes of the image, plus 5).
 */
function withoutPlace(bytes: Buffer, offset: number): Buffer {
  const sector = offset / sectorSize
  const cleared = Buffer.from(bytes)
  const table = [16, sector, bytes.length]
  if (bytes.length >= 64 && table.every((value, index) => bytes.readUInt32LE(8 + 4 * index) === value)) {
    cleared.fill('boot-info', 8, 64)
  }
  if (bytes.length >= 2556 && bytes.readBigUInt64LE(2548) === BigInt(sector) * 4n + 5n) {
    cleared.fill('grub2', 2548, 2556)
  }
  return cleared
}
