import { Readable } from 'node:stream'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { sliceManifest, type Manifest, type Range } from './manifest.ts'

const zeros = Buffer.alloc(256 * 1024)

/**
 * Opens an image, or a range of it, for reading: its extents one after the other, with back-pressure and
 * in constant memory. The caller reads the stream to its end or destroys it.
 * @throws RangeError for a range that is not within the image; the stream fails with `NoSuchObject`
 */
export function openManifest(
  store: ObjectStore,
  manifest: Manifest,
  range: Range = { offset: 0, length: manifest.size },
): Readable {
  const extents = sliceManifest(manifest, range)
  async function* bytes(): AsyncGenerator<Buffer> {
    for (const extent of extents) {
      if ('zeros' in extent) yield* zeroBytes(extent.length)
      else {
        const { object, offset, length } = extent
        const source = (await store.get(object, { offset, length })) as AsyncIterable<Buffer>
        let read = 0
        for await (const chunk of source) {
          read += chunk.length
          yield chunk
        }
        if (read !== length) {
          throw new Error(`The object ${object} ends within the ${length} bytes at byte ${offset}.`)
        }
      }
    }
  }
  return Readable.from(bytes(), { objectMode: false })
}

function* zeroBytes(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= zeros.length) {
    yield left < zeros.length ? zeros.subarray(0, left) : zeros
  }
}
