import { IsoError } from './fault.ts'
import type { RandomAccess } from './random-access.ts'
import { walkTree, type TreeEntry } from './tree.ts'
import { readVolumeSets, volumesOf } from './volume-sets.ts'
import type { Volume } from './volume.ts'

/**
 * Reads every directory tree of an image (ISO 9660 and Joliet, of the whole and of its partitions) and
 * checks that they show the same files. Answers the entries of the first tree and the number of trees.
 * @throws IsoError `invalid-directory` when they differ, and what `walkTree` and `readVolumeSets` throw
 */
export async function compareTrees(reader: RandomAccess): Promise<{ entries: TreeEntry[]; trees: number }> {
  const volumes = (await readVolumeSets(reader)).flatMap(volumesOf)
  const [first, ...others] = volumes
  const entries = first === undefined ? [] : await Array.fromAsync(walkTree(reader, first))
  const kept = new Map(volumes.slice(0, 1).map((volume) => [volume.kind, listing(entries)]))
  const contents = new Set(entries.filter(hasBytes).map(place))
  for (const volume of others) {
    const found = await Array.fromAsync(walkTree(reader, volume))
    const stray = found.filter(hasBytes).find((entry) => !contents.has(place(entry)))
    if (stray !== undefined) {
      throw new IsoError('invalid-directory', `${nameOf(volume)} has ${stray.path} at another place.`)
    }
    const same = kept.get(volume.kind)
    if (same !== undefined && same !== listing(found)) {
      throw new IsoError('invalid-directory', `${nameOf(volume)} shows other files than the first.`)
    }
    kept.set(volume.kind, same ?? listing(found))
  }
  return { entries, trees: volumes.length }
}

function hasBytes({ type, size }: TreeEntry): boolean {
  return type === 'file' && size > 0
}

/** Where the bytes of a file are. */
function place({ extents }: TreeEntry): string {
  return extents.map(({ offset, length }) => `${offset}+${length}`).join(' ')
}

function listing(entries: readonly TreeEntry[]): string {
  return JSON.stringify(
    entries.map((entry) => [
      entry.type,
      entry.path,
      hasBytes(entry) ? place(entry) : '',
      entry.symlinkTarget ?? '',
    ]),
  )
}

function nameOf({ kind, base }: Volume): string {
  return `The ${kind === 'joliet' ? 'Joliet' : 'ISO 9660'} tree at byte ${base}`
}
