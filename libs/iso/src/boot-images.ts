import type { BootEntry } from './boot-catalog.ts'
import type { IsoFault } from './fault.ts'
import type { Partition } from './partition-table.ts'
import type { TreeEntry } from './tree.ts'

/**
 * The bootable entries of the boot catalogue that do not name the beginning of a file of the image or of a
 * partition, as faults `invalid-boot-catalog`: that is where xorriso's `bin_path` and `efi_path` point, and
 * the catalogue has no checksum over its entries that would tell a wrong place.
 */
export function bootImageFaults(
  entries: readonly BootEntry[],
  files: Iterable<TreeEntry>,
  partitions: readonly Partition[],
): IsoFault[] {
  const beginnings = new Set(partitions.map(({ offset }) => offset))
  for (const { type, extents } of files) {
    if (type === 'file' && extents[0] !== undefined) beginnings.add(extents[0].offset)
  }
  return entries
    .filter(({ bootable, offset }) => bootable && !beginnings.has(offset))
    .map(({ platform, offset }) => ({
      code: 'invalid-boot-catalog',
      message: `The boot catalogue has an image for ${platform} at byte ${offset}, where no file and no partition begins.`,
    }))
}
