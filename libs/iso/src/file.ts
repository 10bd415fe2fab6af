import { Readable } from 'node:stream'
import { IsoError } from './fault.ts'
import { readExactly } from './random-access.ts'
import type { RandomAccess } from './random-access.ts'
import { walkTree } from './tree.ts'
import type { TreeEntry } from './tree.ts'
import { readVolumes } from './volume.ts'

/** Bytes read at a time when a file is streamed. */
const chunkSize = 1024 * 1024

/**
 * Finds a file of an image by its path: by Rock Ridge name, or where the primary tree has no such
 * file, by Joliet name.
 * @throws IsoError `file-not-found`, and what `readVolumes` throws
 */
export async function findFile(reader: RandomAccess, path: string): Promise<TreeEntry> {
  const { primary, joliet } = await readVolumes(reader)
  for (const volume of [primary, joliet]) {
    if (volume === undefined) continue
    for await (const entry of walkTree(reader, volume)) {
      if (entry.path === path && entry.type === 'file') return entry
    }
  }
  throw new IsoError('file-not-found', `The image holds no file ${path}.`)
}

/** Streams the content of a file. The stream fails with an IsoError `truncated` when the image ends before. */
export function readEntry(reader: RandomAccess, entry: TreeEntry): Readable {
  return Readable.from(readExtents(reader, entry), { objectMode: false })
}

/** Streams a file of an image by its path; throws what `findFile` throws. */
export async function openFile(reader: RandomAccess, path: string): Promise<Readable> {
  return readEntry(reader, await findFile(reader, path))
}

async function* readExtents(reader: RandomAccess, entry: TreeEntry): AsyncGenerator<Buffer> {
  for (const extent of entry.extents) {
    for (let done = 0; done < extent.length; done += chunkSize) {
      const length = Math.min(chunkSize, extent.length - done)
      yield await readExactly(reader, extent.offset + done, length, `the file ${entry.path}`)
    }
  }
}
