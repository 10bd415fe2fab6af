import { readBootCatalog } from '@edgesmith/iso/boot-catalog'
import { readExactly, type RandomAccess } from '@edgesmith/iso/random-access'
import { walkTree } from '@edgesmith/iso/tree'
import { sectorSize, type Volume, type VolumeSet } from '@edgesmith/iso/volume'
import { readVolumeSets, volumesOf } from '@edgesmith/iso/volume-sets'
import { ComposeError } from './compose-error.ts'
import { partitionPatches } from './partition-patches.ts'
import type { DraftPatch, Relocation } from './relocation.ts'

/**
 * What is to be written into a draft so that it tells the places and sizes that everything has in the image:
 * directory records of every tree, volume sizes, boot catalogue, MBR and GPT.
 * @throws IsoError for a damaged draft; ComposeError when something would move that has to stay
 */
export async function draftPatches(reader: RandomAccess, relocation: Relocation): Promise<DraftPatch[]> {
  if (relocation.start === Number.POSITIVE_INFINITY) return []
  const patches: DraftPatch[] = []
  for (const set of await readVolumeSets(reader)) {
    for (const volume of volumesOf(set)) patches.push(...(await recordPatches(reader, volume, relocation)))
    patches.push(...(await descriptorPatches(reader, set, relocation)))
    patches.push(...(await bootPatches(reader, set, relocation)))
  }
  patches.push(...(await partitionPatches(reader, relocation)))
  return patches
}

/** Directory records (ECMA-119, 9.1): the place of the data at byte 2, their length at byte 10. */
async function recordPatches(
  reader: RandomAccess,
  volume: Volume,
  relocation: Relocation,
): Promise<DraftPatch[]> {
  const patches: DraftPatch[] = []
  for await (const { type, path, extents, recordOffsets } of walkTree(reader, volume)) {
    for (const [index, extent] of extents.entries()) {
      if (type === 'directory') assertStays(extent.offset, relocation, path)
      if (type !== 'file') continue
      const record = recordOffsets[index]
      if (record === undefined) throw new ComposeError(`${path} has no directory record.`)
      const block = (relocation.move(extent.offset) - volume.base) / volume.blockSize
      const place = relocation.places.find(
        ({ offset, draftLength }) => offset === extent.offset && draftLength === extent.length,
      )
      patches.push({
        offset: record + 2,
        bytes: Buffer.concat([bothEndian32(block), bothEndian32(place?.length ?? extent.length)]),
      })
    }
  }
  return patches
}

/** Volume descriptors (ECMA-119, 8): the size of the volume at byte 80, in blocks. */
async function descriptorPatches(
  reader: RandomAccess,
  set: VolumeSet,
  relocation: Relocation,
): Promise<DraftPatch[]> {
  const { base, blockSize } = set.primary
  const patches: DraftPatch[] = []
  for (let offset = base + 16 * sectorSize; ; offset += sectorSize) {
    const descriptor = await readExactly(reader, offset, sectorSize, 'a volume descriptor')
    const type = descriptor.readUInt8(0)
    if (type === 255) return patches
    if (type !== 1 && type !== 2) continue
    for (const field of [140, 148]) {
      const block = field === 140 ? descriptor.readUInt32LE(field) : descriptor.readUInt32BE(field)
      assertStays(base + block * blockSize, relocation, 'a path table')
    }
    const size = relocation.moveUnits(descriptor.readUInt32LE(80), blockSize, base)
    patches.push({ offset: offset + 80, bytes: bothEndian32(size) })
  }
}

/**
 * The boot catalogue (El Torito, 2.0): entries of 32 bytes with the sector of the boot image at byte 8. Only
 * images in appended partitions move; the others lie before everything that grows, so that neither what they
 * tell of their own place changes nor what the MBR does.
 */
async function bootPatches(
  reader: RandomAccess,
  { bootCatalogOffset, primary }: VolumeSet,
  relocation: Relocation,
): Promise<DraftPatch[]> {
  if (bootCatalogOffset === undefined) return []
  assertStays(bootCatalogOffset, relocation, 'the boot catalogue')
  const catalog = await readExactly(reader, bootCatalogOffset, sectorSize, 'the boot catalogue')
  const places = new Set(
    (await readBootCatalog(reader, bootCatalogOffset, primary.base)).map(({ offset }) => offset),
  )
  const patches: DraftPatch[] = []
  for (let entry = 32; entry < sectorSize; entry += 32) {
    const offset = primary.base + catalog.readUInt32LE(entry + 8) * sectorSize
    if (catalog.readUInt8(entry) !== 0x88 || !places.has(offset)) continue
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE((relocation.move(offset) - primary.base) / sectorSize)
    patches.push({ offset: bootCatalogOffset + entry + 8, bytes })
  }
  return patches
}

function assertStays(offset: number, relocation: Relocation, what: string): void {
  if (relocation.move(offset) !== offset)
    throw new ComposeError(`xorriso laid ${what} behind the large files.`)
}

/** A number in both byte orders (ECMA-119, 7.3.3). */
function bothEndian32(value: number): Buffer {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new ComposeError(`${value} sectors or bytes are more than an ISO 9660 image can tell.`)
  }
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(value, 0)
  bytes.writeUInt32BE(value, 4)
  return bytes
}
