import { buffer } from 'node:stream/consumers'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import type { ByteRange } from '@edgesmith/store/object-store'
import type { Readable } from 'node:stream'

/** Bytes that one request to the store reads. */
const blockSize = 256 * 1024
/** Blocks that are kept. */
const maxBlocks = 32

/**
 * Reads an object of the store at any offset. Reads are done in blocks, the last few of which are
 * kept: the structures of an image lie close together.
 */
export class ObjectReader implements RandomAccess {
  readonly size: number
  readonly #open: (range: Required<ByteRange>) => Promise<Readable>
  readonly #blocks = new Map<number, Buffer>()

  constructor(size: number, open: (range: Required<ByteRange>) => Promise<Readable>) {
    this.size = size
    this.#open = open
  }

  async read(offset: number, length: number): Promise<Buffer> {
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
    const block = await buffer(await this.#open({ offset: index * blockSize, length: blockSize }))
    const [oldest] = this.#blocks.keys()
    if (oldest !== undefined && this.#blocks.size >= maxBlocks) this.#blocks.delete(oldest)
    this.#blocks.set(index, block)
    return block
  }
}
