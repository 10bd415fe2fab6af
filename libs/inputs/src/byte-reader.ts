import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ArchiveFault } from './archive-fault.ts'

/** Bytes that are read from the front to the back, in bounded memory. */
export type ByteReader = {
  /**
   * Up to `length` bytes from an offset, fewer only at the end. An offset must not be lower than the one
   * asked for before.
   * @throws ArchiveFault `archive.truncated` when the bytes end before the offset
   */
  read: (offset: number, length: number) => Promise<Buffer>
}

/** How much is read of an object at once, in bytes: the headers of many small files fit in. */
const windowSize = 64 * 1024

/** Reads an object by ranges: what is skipped is not transferred. */
export class ObjectReader implements ByteReader {
  readonly #store: ObjectStore
  readonly #object: { readonly objectKey: string; readonly size: number }
  #window = Buffer.alloc(0)
  #start = 0

  constructor(store: ObjectStore, object: { readonly objectKey: string; readonly size: number }) {
    this.#store = store
    this.#object = object
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const { objectKey, size } = this.#object
    if (offset > size) throw truncated()
    const wanted = Math.min(length, size - offset)
    if (wanted === 0) return Buffer.alloc(0)
    if (offset < this.#start || offset + wanted > this.#start + this.#window.length) {
      const range = { offset, length: Math.min(Math.max(wanted, windowSize), size - offset) }
      this.#window = await buffer(await this.#store.get(objectKey, range))
      this.#start = offset
    }
    return this.#window.subarray(offset - this.#start, offset - this.#start + wanted)
  }
}

/** Reads a stream: what is skipped is thrown away as it arrives. */
export class StreamReader implements ByteReader {
  readonly #chunks: AsyncIterator<Buffer>
  readonly #limit: number
  #chunk: Buffer = Buffer.alloc(0)
  #start = 0

  /** @param limit the most bytes that may come; `archive.expands-too-far` is thrown at the next. */
  constructor(source: Readable, limit: number) {
    this.#chunks = (source as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
    this.#limit = limit
  }

  async read(offset: number, length: number): Promise<Buffer> {
    while (this.#end < offset) if (!(await this.#advance())) throw truncated()
    const pieces: Buffer[] = []
    for (let from = offset; from < offset + length;) {
      if (from === this.#end && !(await this.#advance())) break
      const piece = this.#chunk.subarray(from - this.#start, offset + length - this.#start)
      pieces.push(piece)
      from += piece.length
    }
    return Buffer.concat(pieces)
  }

  /** Reads the rest and throws it away, so that the source can tell what is wrong with its end. */
  async drain(): Promise<void> {
    while (await this.#advance());
  }

  get #end(): number {
    return this.#start + this.#chunk.length
  }

  async #advance(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done === true) return false
    this.#start = this.#end
    this.#chunk = next.value
    if (this.#end > this.#limit) {
      const mebibytes = Math.floor(this.#limit / 1024 ** 2)
      throw new ArchiveFault(
        'archive.expands-too-far',
        `The archive unpacks to more than ${mebibytes} MiB, which no file of its kind does. Export it again.`,
      )
    }
    return true
  }
}

function truncated(): ArchiveFault {
  return new ArchiveFault('archive.truncated', 'The archive breaks off in the middle. Send it again, whole.')
}
