import { readBootCatalog } from '@edgesmith/iso/boot-catalog'
import { readGpt, readMbr } from '@edgesmith/iso/partition-table'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { readVolumeSets } from '@edgesmith/iso/volume-sets'

/**
 * What firmware finds in an image, but for where it lies: each partition and each boot entry in words. Two
 * images of which these are equal boot in the same ways.
 * @throws IsoError for an image that is damaged
 */
export async function readBootEquipment(reader: RandomAccess): Promise<string[]> {
  const partitions = [...(await readMbr(reader)), ...((await readGpt(reader))?.partitions ?? [])]
  const found = partitions.map(
    ({ table, number, type }) => `${table.toUpperCase()} partition ${number} of type ${type}`,
  )
  for (const { bootCatalogOffset, primary } of await readVolumeSets(reader)) {
    if (bootCatalogOffset === undefined) continue
    for (const entry of await readBootCatalog(reader, bootCatalogOffset, primary.base)) {
      const { platform, bootable, emulation, loadLength } = entry
      const state = bootable ? 'bootable' : 'not bootable'
      found.push(`boot image for ${platform}, ${state}, emulation ${emulation}, ${loadLength} bytes`)
    }
  }
  return found
}
