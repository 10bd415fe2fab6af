import { readGpt, readMbr } from './partition-table.ts'
import type { RandomAccess } from './random-access.ts'
import { readVolumes, readVolumesIfAny } from './volume.ts'
import type { Volume, VolumeSet } from './volume.ts'

/**
 * Reads every set of volume descriptors that an image can be mounted by: the one at its beginning first, and
 * those at the beginning of its partitions, which xorriso's `-partition_offset` makes (xorriso manual,
 * "partition_offset").
 * @throws IsoError `not-iso9660`, `invalid-partition-table`, `truncated`
 */
export async function readVolumeSets(reader: RandomAccess): Promise<[VolumeSet, ...VolumeSet[]]> {
  const sets: [VolumeSet, ...VolumeSet[]] = [await readVolumes(reader)]
  const partitions = [...(await readMbr(reader)), ...((await readGpt(reader))?.partitions ?? [])]
  const bases = new Set(partitions.map(({ offset }) => offset).filter((offset) => offset > 0))
  for (const base of [...bases].sort((a, b) => a - b)) {
    const set = await readVolumesIfAny(reader, base)
    if (set !== undefined) sets.push(set)
  }
  return sets
}

/** The volumes of a set: one for each directory tree. */
export function volumesOf({ primary, joliet }: VolumeSet): Volume[] {
  return joliet === undefined ? [primary] : [primary, joliet]
}
