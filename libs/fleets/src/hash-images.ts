import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { Extent, Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import type { RangeSource } from '@edgesmith/store/range-reader'

/** Bytes that are hashed for one image before others get their turn. */
const stepBytes = 256 * 1024

/**
 * The SHA-256 of several images, lowercase hex, in their order. All are read at the same pace from their
 * first byte on: what they have in common at the same place is read once. Memory is bounded.
 * @throws NoSuchObject, the reason of the signal
 */
export async function hashImages(
  store: RangeSource,
  manifests: readonly Manifest[],
  signal: AbortSignal,
): Promise<string[]> {
  const images = manifests.map(({ extents }) => ({ hash: createHash('sha256'), cursor: new Cursor(extents) }))
  for (;;) {
    const active = images.filter(({ cursor }) => !cursor.isAtEnd)
    if (active.length === 0) break
    // As far as every image is in one extent.
    const length = Math.min(...active.map(({ cursor }) => cursor.left))
    const together = Map.groupBy(active, ({ cursor }) => cursor.place)
    for (const same of together.values()) {
      const [first] = same
      if (first === undefined) continue
      await readThrough(store, first.cursor.next(length), signal, (chunk) => {
        for (const { hash } of same) hash.update(chunk)
      })
    }
    for (const { cursor } of active) cursor.advance(length)
  }
  return images.map(({ hash }) => hash.digest('hex'))
}

async function readThrough(
  store: RangeSource,
  extent: Extent,
  signal: AbortSignal,
  take: (chunk: Buffer) => void,
): Promise<void> {
  const manifest: Manifest = { size: extent.length, extents: [extent] }
  signal.throwIfAborted()
  if (extent.length <= stepBytes) {
    take(await buffer(openManifest(store, manifest)))
    return
  }
  const chunks: AsyncIterable<Buffer> = openManifest(store, manifest)
  for await (const chunk of chunks) {
    signal.throwIfAborted()
    for (let start = 0; start < chunk.length; start += stepBytes) {
      take(chunk.subarray(start, start + stepBytes))
      await new Promise(setImmediate)
    }
  }
}

/** Where the reading of an image is. */
class Cursor {
  readonly #extents: readonly Extent[]
  #index = 0
  #skipped = 0

  constructor(extents: readonly Extent[]) {
    this.#extents = extents
  }

  get isAtEnd(): boolean {
    return this.#index >= this.#extents.length
  }

  /** Bytes that are left of the present extent. */
  get left(): number {
    return this.#present.length - this.#skipped
  }

  /** Tells which bytes of which object come next: equal texts mean equal bytes. */
  get place(): string {
    const extent = this.#present
    return 'zeros' in extent ? 'zeros' : `${extent.object} ${extent.offset + this.#skipped}`
  }

  /** The next bytes, at the most what is left of the extent. */
  next(length: number): Extent {
    const extent = this.#present
    return 'zeros' in extent
      ? { length, zeros: true }
      : { length, object: extent.object, offset: extent.offset + this.#skipped }
  }

  advance(length: number): void {
    this.#skipped += length
    if (this.#skipped < this.#present.length) return
    this.#index += 1
    this.#skipped = 0
  }

  get #present(): Extent {
    const extent = this.#extents[this.#index]
    if (extent === undefined) throw new RangeError('The image has no more bytes.')
    return extent
  }
}
