import { Readable } from 'node:stream'
import { disposeOpened } from './range-reader.ts'
import type { RangeReader, RangeSource } from './range-reader.ts'

/** A range of an object, or zeros that are stored nowhere; `length` is in bytes. */
export type Piece =
  | { readonly length: number; readonly object: string; readonly offset: number }
  | { readonly length: number; readonly zeros: true }

/** A piece, or bytes that stand between pieces. */
export type ReadablePiece = Piece | { readonly length: number; readonly bytes: Buffer }

type StoredPiece = Extract<ReadablePiece, { object: string }>

/** Pieces up to this size are read in blocks of that size, a few of which are kept. */
const smallPiece = 64 * 1024
const maximumBlocks = 4
/** So far before the end of a large piece the next one is opened. Not sooner: it would wait for a slow reader. */
const openAhead = 4 * 1024 * 1024
/** The largest chunk of `streamPieces`. */
const chunkSize = 256 * 1024

/**
 * Reads pieces one after the other, in constant memory. The next large piece is opened before the one
 * before it ends; small ones that lie close together are read with one request.
 */
export class PieceReader implements RangeReader {
  readonly #source: RangeSource
  readonly #pieces: readonly ReadablePiece[]
  readonly #blocks = new Map<string, Buffer>()
  #index = 0
  /** Bytes of the piece at `#index` that were read. */
  #done = 0
  #opened: { index: number; reader: Promise<RangeReader> } | undefined
  /** What `#opened` has become: without a wait, a read begins before its caller goes on. */
  #current: RangeReader | undefined
  #ahead: { index: number; reader: Promise<RangeReader> } | undefined
  #isDisposed = false

  constructor(source: RangeSource, pieces: readonly ReadablePiece[]) {
    this.#source = source
    this.#pieces = pieces
  }

  async read(buffer: Buffer): Promise<number> {
    let filled = 0
    while (filled < buffer.length) {
      const piece = this.#pieces[this.#index]
      if (piece === undefined) break
      const target = buffer.subarray(
        filled,
        filled + Math.min(buffer.length - filled, piece.length - this.#done),
      )
      if ('zeros' in piece) target.fill(0)
      else if ('bytes' in piece) piece.bytes.copy(target, 0, this.#done)
      else if (piece.length <= smallPiece) await this.#readSmall(piece, target)
      else await this.#readLarge(piece, target)
      filled += target.length
      this.#done += target.length
      if (this.#done === piece.length) await this.#advance()
    }
    return filled
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await Promise.all([disposeOpened(this.#opened?.reader), disposeOpened(this.#ahead?.reader)])
  }

  async #advance(): Promise<void> {
    if (this.#opened?.index === this.#index) {
      const { reader } = this.#opened
      this.#opened = undefined
      this.#current = undefined
      await disposeOpened(reader)
    }
    this.#index += 1
    this.#done = 0
  }

  async #readLarge(piece: StoredPiece, target: Buffer): Promise<void> {
    this.#opened ??= this.#ahead?.index === this.#index ? this.#ahead : this.#open(this.#index, piece)
    if (this.#ahead === this.#opened) this.#ahead = undefined
    if (piece.length - this.#done <= openAhead) this.#openNext()
    this.#current ??= await this.#opened.reader
    if (this.#isDisposed) throw new Error('The reader was closed.')
    const read = await this.#current.read(target)
    if (read < target.length) throw endsWithin(piece)
  }

  #openNext(): void {
    if (this.#ahead !== undefined) return
    const index = this.#pieces.findIndex(
      (piece, at) => at > this.#index && 'object' in piece && piece.length > smallPiece,
    )
    const piece = this.#pieces[index]
    if (piece !== undefined && 'object' in piece) this.#ahead = this.#open(index, piece)
  }

  #open(
    index: number,
    { object, offset, length }: StoredPiece,
  ): { index: number; reader: Promise<RangeReader> } {
    const reader = this.#source.openRange(object, { offset, length })
    // Whoever reads the piece gets the error.
    reader.catch(() => undefined)
    return { index, reader }
  }

  async #readSmall(piece: StoredPiece, target: Buffer): Promise<void> {
    let filled = 0
    while (filled < target.length) {
      const position = piece.offset + this.#done + filled
      const index = Math.floor(position / smallPiece)
      const block = await this.#block(piece.object, index)
      const copied = block.copy(target, filled, position - index * smallPiece)
      if (copied === 0) throw endsWithin(piece)
      filled += copied
    }
  }

  async #block(object: string, index: number): Promise<Buffer> {
    const id = `${object} ${index}`
    const kept = this.#blocks.get(id)
    if (kept !== undefined) return kept
    await using reader = await this.#source.openRange(object, {
      offset: index * smallPiece,
      length: smallPiece,
    })
    const buffer = Buffer.allocUnsafeSlow(smallPiece)
    const block = buffer.subarray(0, await reader.read(buffer))
    const [oldest] = this.#blocks.keys()
    if (oldest !== undefined && this.#blocks.size >= maximumBlocks) this.#blocks.delete(oldest)
    this.#blocks.set(id, block)
    return block
  }
}

/** The pieces as a stream. The caller reads it to its end or destroys it. */
export function streamPieces(source: RangeSource, pieces: readonly ReadablePiece[]): Readable {
  async function* chunks(): AsyncGenerator<Buffer> {
    await using reader = new PieceReader(source, pieces)
    for (let left = sizeOf(pieces); left > 0;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(chunkSize, left))
      const read = await reader.read(buffer)
      left -= read
      yield buffer.subarray(0, read)
    }
  }
  return Readable.from(chunks(), { objectMode: false, highWaterMark: chunkSize })
}

/** How many bytes the pieces have together. */
export function sizeOf(pieces: readonly ReadablePiece[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

function endsWithin({ object, offset, length }: StoredPiece): Error {
  return new Error(`The object ${object} ends within the ${length} bytes at byte ${offset}.`)
}
