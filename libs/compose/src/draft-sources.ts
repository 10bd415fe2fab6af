import { writeFile } from 'node:fs/promises'
import { makeManifest, sliceManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import { sectorSize } from '@edgesmith/iso/volume'
import type { TreeEntry } from '@edgesmith/iso/tree'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { BaseImage } from './base-image.ts'
import { createSparseFile, writeAt, writeStreamAt } from './sparse-file.ts'

/**
 * Files from this size on have several extents (ECMA-119, 9.1.4 tells a length in 32 bits) and keep their size
 * in the draft: xorriso has to make as many directory records as they need.
 */
const multiExtentSize = 0xffff_f800

/** How long a large file is in the draft, in bytes. */
export function draftLength(size: number): number {
  return size < multiExtentSize ? sectorSize : size
}

/** What a file of a base is made of. */
export function manifestOf(base: Manifest, { extents }: TreeEntry): Manifest {
  return makeManifest(extents.flatMap((extent) => sliceManifest(base, extent)))
}

/**
 * Makes a local copy of the base for xorriso to read: the contents of its large files are holes, and the
 * directory records of the primary tree tell one sector of each where that will do.
 */
export async function writeBaseDraft(
  { store, signal }: { store: ObjectStore; signal: AbortSignal },
  { base, image, file: path }: { base: Manifest; image: BaseImage; file: string },
): Promise<void> {
  await using file = await createSparseFile(path, base.size)
  const large = [...image.large].flatMap((name) => image.entries.get(name) ?? [])
  const holes = large.flatMap(({ extents }) => extents).sort((a, b) => a.offset - b.offset)
  let position = 0
  for (const { offset, length } of [...holes, { offset: base.size, length: 0 }]) {
    if (offset > position) {
      const range = { offset: position, length: offset - position }
      await writeStreamAt(file, openManifest(store, base, range), { offset: position, signal })
    }
    position = Math.max(position, offset + length)
  }
  for (const { size, recordOffsets } of large) {
    const [record, ...others] = recordOffsets
    const length = draftLength(size)
    if (record === undefined || others.length > 0 || length === size) continue
    const field = Buffer.alloc(8)
    field.writeUInt32LE(length, 0)
    field.writeUInt32BE(length, 4)
    await writeAt(file, field, record + 10)
  }
}

/** Makes the local file of one that is added: its bytes, or where they are referred to, what stands for them. */
export async function writeAddedFile(
  { store, signal }: { store: ObjectStore; signal: AbortSignal },
  { content, isLarge, file: path }: { content: Buffer | Manifest; isLarge: boolean; file: string },
): Promise<void> {
  if (Buffer.isBuffer(content)) return writeFile(path, content, { signal })
  await using file = await createSparseFile(path, isLarge ? draftLength(content.size) : content.size)
  if (!isLarge) await writeStreamAt(file, openManifest(store, content), { offset: 0, signal })
}
