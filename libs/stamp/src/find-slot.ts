import { readBootCatalog } from '@edgesmith/iso/boot-catalog'
import { readExactly, type RandomAccess } from '@edgesmith/iso/random-access'
import { walkTree } from '@edgesmith/iso/tree'
import { sectorSize, type Extent, type Volume, type VolumeSet } from '@edgesmith/iso/volume'
import { readVolumeSets, volumesOf } from '@edgesmith/iso/volume-sets'
import { namesFile } from './names-file.ts'
import type { UserDataSlot } from './slot.ts'

/** Where the data length field stands in a directory record (ECMA-119, 9.1). */
const lengthField = 10

/**
 * Finds the place of a file in an image, so that other bytes can be put there: the file `path` (as Rock Ridge
 * names it) whose bytes are `content`, in every directory tree the image can be mounted by.
 *
 * Undefined when replacing it would not be enough or would do harm: a tree does not name the file, or names
 * other data; the data has several extents, or belongs to another file as well (a hard link, or equal files of
 * which one was kept); a boot image or the boot catalogue lies there; the bytes are others, or are not followed
 * by zeros to the end of the sector; or there is a tree that this package does not read.
 * @throws IsoError for an image that is damaged
 */
export async function findSlot(
  reader: RandomAccess,
  path: string,
  content: Buffer,
): Promise<UserDataSlot | undefined> {
  const sets = await readVolumeSets(reader)
  if (sets.some(({ unreadTrees }) => unreadTrees > 0)) return undefined
  const place = await findPlace(reader, sets[0].primary, path)
  if (place === undefined || place.length === 0 || place.length !== content.length) return undefined
  const capacity = Math.ceil(place.length / sectorSize) * sectorSize
  const sectors: Extent = { offset: place.offset, length: capacity }

  const lengthFields: number[] = []
  for (const volume of sets.flatMap(volumesOf)) {
    const record = await findOnlyRecord(reader, volume, { path, place, sectors })
    if (record === undefined) return undefined
    lengthFields.push(record + lengthField)
  }
  if (await holdsBootData(reader, sets, sectors)) return undefined
  const bytes = await readExactly(reader, sectors.offset, capacity, path)
  const isPlaceholder =
    bytes.subarray(0, content.length).equals(content) &&
    bytes.subarray(content.length).every((byte) => byte === 0)
  return isPlaceholder ? { offset: sectors.offset, capacity, lengthFields } : undefined
}

async function findPlace(reader: RandomAccess, volume: Volume, path: string): Promise<Extent | undefined> {
  for await (const { type, path: name, extents } of walkTree(reader, volume)) {
    if (type === 'file' && name === path) return extents[0]
  }
  return undefined
}

type Wanted = { path: string; place: Extent; sectors: Extent }

/** Where the one directory record of the tree begins that refers to the sectors; undefined when it is not one. */
async function findOnlyRecord(
  reader: RandomAccess,
  volume: Volume,
  { path, place, sectors }: Wanted,
): Promise<number | undefined> {
  let found: number | undefined
  for await (const entry of walkTree(reader, volume)) {
    const isThere = entry.extents.some((extent) => overlap(extent, sectors))
    if (!isThere && entry.path !== path) continue
    const [extent, ...others] = entry.extents
    const isPlace = extent?.offset === place.offset && extent.length === place.length && others.length === 0
    if (entry.type !== 'file' || !isPlace || found !== undefined) return undefined
    if (!namesFile(volume.kind, entry.path, path)) return undefined
    found = entry.recordOffsets[0]
  }
  return found
}

async function holdsBootData(
  reader: RandomAccess,
  sets: readonly VolumeSet[],
  sectors: Extent,
): Promise<boolean> {
  for (const { bootCatalogOffset, primary } of sets) {
    if (bootCatalogOffset === undefined) continue
    const entries = await readBootCatalog(reader, bootCatalogOffset, primary.base)
    const parts = entries.map(({ offset, loadLength }) => ({ offset, length: loadLength }))
    parts.push({ offset: bootCatalogOffset, length: sectorSize })
    if (parts.some((part) => overlap(part, sectors))) return true
  }
  return false
}

function overlap(a: Extent, b: Extent): boolean {
  return Math.max(a.offset, b.offset) < Math.min(a.offset + a.length, b.offset + b.length)
}
