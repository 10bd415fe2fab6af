import { readBootCatalog } from '@edgesmith/iso/boot-catalog'
import { readExactly, type RandomAccess } from '@edgesmith/iso/random-access'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { sectorSize, type Extent, type VolumeSet } from '@edgesmith/iso/volume'
import { readVolumeSets, volumesOf } from '@edgesmith/iso/volume-sets'
import { ComposeError } from './compose-error.ts'

/** Files from this size on, in bytes, are referred to; smaller ones are copied. */
export const largeFileSize = 1024 * 1024

/** Characters that names have which xorriso cuts for Joliet, 64 and a separator or two; longer ones were let be. */
const jolietNameLength = 66

/** What is to be known of an image to lay out another from it. */
export type BaseImage = {
  /** Every path of the tree. */
  entries: ReadonlyMap<string, TreeEntry>
  /** Paths of the files that are not part of the boot equipment and large enough to be referred to. */
  large: ReadonlySet<string>
  /** Paths that the boot equipment needs: the boot images and the boot catalogue. */
  boot: ReadonlySet<string>
  hasJoliet: boolean
  hasLongJolietNames: boolean
  /** When the volume was made. */
  modifiedAt: Date
}

/**
 * Reads the tree of an image and what its other trees and boot entries tell.
 * @throws IsoError for an image that is damaged, ComposeError for one whose paths are not unambiguous
 */
export async function readBaseImage(reader: RandomAccess): Promise<BaseImage> {
  const sets = await readVolumeSets(reader)
  const [{ primary, joliet }] = sets
  const bootExtents = await readBootExtents(reader, sets)
  const entries = new Map<string, TreeEntry>()
  const large = new Set<string>()
  const boot = new Set<string>()
  for await (const entry of walkTree(reader, primary)) {
    if (entries.has(entry.path)) throw new ComposeError(`The image has ${entry.path} twice.`)
    entries.set(entry.path, entry)
    if (entry.type !== 'file') continue
    if (entry.extents.some((extent) => bootExtents.some((part) => overlap(extent, part))))
      boot.add(entry.path)
    else if (entry.size >= largeFileSize) large.add(entry.path)
  }
  let hasLongJolietNames = false
  if (joliet !== undefined) {
    for await (const { path } of walkTree(reader, joliet)) {
      hasLongJolietNames ||= path.length - path.lastIndexOf('/') - 1 > jolietNameLength
    }
  }
  const modifiedAt = await readModificationTime(reader)
  return { entries, large, boot, hasJoliet: joliet !== undefined, hasLongJolietNames, modifiedAt }
}

async function readBootExtents(reader: RandomAccess, sets: readonly VolumeSet[]): Promise<Extent[]> {
  const extents: Extent[] = []
  for (const set of sets) {
    if (set.bootCatalogOffset === undefined) continue
    extents.push({ offset: set.bootCatalogOffset, length: sectorSize })
    for (const { offset, loadLength } of await readBootCatalog(
      reader,
      set.bootCatalogOffset,
      volumesOf(set)[0]?.base,
    )) {
      extents.push({ offset, length: Math.max(loadLength, sectorSize) })
    }
  }
  return extents
}

function overlap(a: Extent, b: Extent): boolean {
  return Math.max(a.offset, b.offset) < Math.min(a.offset + a.length, b.offset + b.length)
}

/** The modification time of the first volume descriptor (ECMA-119, 8.4.27 and 8.4.26.1); 1970 where there is none. */
async function readModificationTime(reader: RandomAccess): Promise<Date> {
  const field = await readExactly(reader, 16 * sectorSize + 830, 17, 'the volume descriptor')
  const digits = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(field.toString('latin1', 0, 16))
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, hundredths = 0] =
    digits?.slice(1).map(Number) ?? []
  if (year === 0) return new Date(0)
  const quarterHours = field.readInt8(16)
  return new Date(Date.UTC(year, month - 1, day, hour, minute - 15 * quarterHours, second, 10 * hundredths))
}
