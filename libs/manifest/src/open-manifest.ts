import type { Readable } from 'node:stream'
import { streamPieces } from '@edgesmith/store/pieces'
import type { RangeSource } from '@edgesmith/store/range-reader'
import { sliceManifest, type Manifest, type Range } from './manifest.ts'

/**
 * Opens an image, or a range of it, for reading: its extents one after the other, with back-pressure and
 * in constant memory. The caller reads the stream to its end or destroys it.
 * @throws RangeError for a range that is not within the image; the stream fails with `NoSuchObject`
 */
export function openManifest(
  source: RangeSource,
  manifest: Manifest,
  range: Range = { offset: 0, length: manifest.size },
): Readable {
  return streamPieces(source, sliceManifest(manifest, range))
}
