import { Readable } from 'node:stream'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { makeManifest, sliceManifest, type Extent, type Manifest } from '@edgesmith/manifest/manifest'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ComposeError } from './compose-error.ts'
import type { Content } from './contents.ts'
import { roundUp } from './relocation.ts'
import { isZero } from './sparse-file.ts'

const readSize = 1024 * 1024
/** Zeros are left out where a whole piece of this many bytes is zero. */
const pieceSize = 16 * 1024

/**
 * Stores the bytes of a draft that are neither zeros nor contents that lie elsewhere, one behind the other,
 * under `key`, and tells what the whole image is made of.
 */
export async function storeLayout(
  { store, signal }: { store: ObjectStore; signal: AbortSignal },
  { draft, contents, key }: { draft: RandomAccess; contents: readonly Content[]; key: string },
): Promise<Manifest> {
  const extents: Extent[] = []
  let stored = 0
  async function* bytes(): AsyncGenerator<Buffer> {
    let position = 0
    for (const { offset, draftLength, length, manifest } of contents) {
      if (offset < position || manifest.size !== length) {
        throw new ComposeError(`xorriso laid two files over each other at byte ${offset}.`)
      }
      yield* region(position, offset)
      extents.push(...sliceManifest(manifest, { offset: 0, length }))
      extents.push({ length: roundUp(length) - length, zeros: true })
      position = offset + roundUp(draftLength)
    }
    yield* region(position, draft.size)
  }
  async function* region(start: number, end: number): AsyncGenerator<Buffer> {
    for (let position = start; position < end; position += readSize) {
      const chunk = await draft.read(position, Math.min(readSize, end - position))
      for (let at = 0; at < chunk.length; at += pieceSize) {
        const piece = chunk.subarray(at, at + pieceSize)
        if (isZero(piece)) extents.push({ length: piece.length, zeros: true })
        else {
          extents.push({ length: piece.length, object: key, offset: stored })
          stored += piece.length
          yield piece
        }
      }
    }
  }
  await store.put(key, Readable.from(bytes(), { objectMode: false }), { signal })
  return makeManifest(extents)
}
