import { buffer } from 'node:stream/consumers'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import type { RangeSource } from '@edgesmith/store/range-reader'
import type { Manifest } from './manifest.ts'
import { openManifest } from './open-manifest.ts'

/** Bytes that one request to the store reads, unless told otherwise. */
const defaultBlockSize = 256 * 1024
/** Blocks that are kept. */
const maxBlocks = 32

/**
 * Reads an image of the store at any offset. Reads are done in blocks, the last few of which are
 * kept: the structures of an image lie close together.
 */
export class ImageReader implements RandomAccess {
  readonly size: number
  readonly #store: RangeSource
  readonly #manifest: Manifest
  readonly #blockSize: number
  readonly #blocks = new Map<number, Buffer>()

  /** Blocks of `blockSize` bytes are read: few where little of the image is wanted. */
  constructor(store: RangeSource, manifest: Manifest, { blockSize = defaultBlockSize } = {}) {
    this.size = manifest.size
    this.#blockSize = blockSize
    this.#store = store
    this.#manifest = manifest
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const blockSize = this.#blockSize
    const end = Math.min(offset + length, this.size)
    const pieces: Buffer[] = []
    for (let position = offset; position < end;) {
      const index = Math.floor(position / blockSize)
      const block = await this.#block(index)
      const start = position - index * blockSize
      const piece = block.subarray(start, Math.min(block.length, end - index * blockSize))
      if (piece.length === 0) break
      pieces.push(piece)
      position += piece.length
    }
    return Buffer.concat(pieces)
  }

  async #block(index: number): Promise<Buffer> {
    const kept = this.#blocks.get(index)
    if (kept !== undefined) return kept
    const offset = index * this.#blockSize
    const length = Math.min(this.#blockSize, this.size - offset)
    const block = await buffer(openManifest(this.#store, this.#manifest, { offset, length }))
    const [oldest] = this.#blocks.keys()
    if (oldest !== undefined && this.#blocks.size >= maxBlocks) this.#blocks.delete(oldest)
    this.#blocks.set(index, block)
    return block
  }
}
