import { createHash, type Hash } from 'node:crypto'
import { IsoError } from '@edgesmith/iso/fault'
import { readExactly } from '@edgesmith/iso/random-access'
import type { TreeEntry } from '@edgesmith/iso/tree'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { objectsOf, sliceManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import type { ObjectStore } from '@edgesmith/store/object-store'

/** Files up to this size are read by the blocks that `ImageReader` keeps, in bytes. */
const smallFile = 256 * 1024

/** The part of an image that can be read, from its beginning. */
export type StoredImage = {
  readonly manifest: Manifest
  readonly reader: ImageReader
  /** The first object that is missing or too short, and the byte of the image where that shows. */
  readonly missing?: { readonly object: string; readonly offset: number }
}

/** Opens an image for reading up to the first byte that the store lacks. */
export async function openStoredImage(store: ObjectStore, whole: Manifest): Promise<StoredImage> {
  const sizes = new Map<string, number>()
  for (const object of objectsOf(whole)) sizes.set(object, (await store.stat(object))?.size ?? 0)
  let offset = 0
  for (const extent of whole.extents) {
    const stored = 'zeros' in extent ? Infinity : (sizes.get(extent.object) ?? 0) - extent.offset
    if (stored < extent.length && 'object' in extent) {
      const size = offset + Math.max(0, stored)
      const manifest = { size, extents: sliceManifest(whole, { offset: 0, length: size }) }
      const missing = { object: extent.object, offset: size }
      return { manifest, reader: new ImageReader(store, manifest), missing }
    }
    offset += extent.length
  }
  return { manifest: whole, reader: new ImageReader(store, whole) }
}

/** SHA-256 of the bytes of files one behind the other. @throws IsoError `truncated` */
export async function digestOfFiles(
  store: ObjectStore,
  image: StoredImage,
  files: readonly TreeEntry[],
): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for (const file of files) {
    for (const extent of file.extents) {
      await hashExtent(store, image, { ...extent, hash, path: file.path })
      size += extent.length
    }
  }
  return { sha256: hash.digest('hex'), size }
}

/** SHA-256 of the whole image, lowercase hex. */
export async function digestOfImage(store: ObjectStore, { manifest }: StoredImage): Promise<string> {
  const hash = createHash('sha256')
  const chunks: AsyncIterable<Buffer> = openManifest(store, manifest)
  for await (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

async function hashExtent(
  store: ObjectStore,
  { manifest, reader }: StoredImage,
  { offset, length, hash, path }: { offset: number; length: number; hash: Hash; path: string },
): Promise<void> {
  if (length === 0) return
  if (offset + length > manifest.size) {
    throw new IsoError('truncated', `The image ends at byte ${manifest.size}, inside the file ${path}.`)
  }
  if (length <= smallFile) {
    hash.update(await readExactly(reader, offset, length, `the file ${path}`))
    return
  }
  const chunks: AsyncIterable<Buffer> = openManifest(store, manifest, { offset, length })
  for await (const chunk of chunks) hash.update(chunk)
}
