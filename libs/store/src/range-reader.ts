import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { ByteRange } from './object-store.ts'

/**
 * Bytes that are read one after the other into buffers of the reader's, which can be used again and again.
 * Disposing ends it at once; a read under way then fails.
 */
export type RangeReader = AsyncDisposable & {
  /**
   * Fills the buffer and answers how many bytes are in it: fewer than it holds only at the end, none
   * after that. To be called again once the last call has answered.
   */
  read(buffer: Buffer): Promise<number>
}

/** What ranges of objects can be read of: a store, or a cache before one. */
export type RangeSource = {
  /**
   * Opens a range of an object; it ends with the object where that is shorter. The caller disposes of it.
   * @throws NoSuchObject
   */
  openRange(key: string, range: Required<ByteRange>): Promise<RangeReader>
}

/** Reads a range of an open file, which is closed with the reader. */
export class FileRangeReader implements RangeReader {
  readonly #file: FileHandle
  readonly #end: number
  #position: number

  constructor(file: FileHandle, { offset, length }: Required<ByteRange>) {
    this.#file = file
    this.#position = offset
    this.#end = offset + length
  }

  async read(buffer: Buffer): Promise<number> {
    const wanted = Math.min(buffer.length, this.#end - this.#position)
    let filled = 0
    while (filled < wanted) {
      const { bytesRead } = await this.#file.read(buffer, filled, wanted - filled, this.#position)
      if (bytesRead === 0) break
      filled += bytesRead
      this.#position += bytesRead
    }
    return filled
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close()
  }
}

/** Reads what a stream yields; the stream is destroyed with the reader. */
export class StreamRangeReader implements RangeReader {
  readonly #source: Readable
  readonly #chunks: AsyncIterator<Buffer, undefined>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: Readable) {
    this.#source = source
    // A stream that fails before it is read must not end the process; the read after that fails.
    source.on('error', () => undefined)
    this.#chunks = (source as AsyncIterable<Buffer, undefined>)[Symbol.asyncIterator]()
  }

  async read(buffer: Buffer): Promise<number> {
    let filled = 0
    while (filled < buffer.length) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next()
        if (next.done === true) break
        this.#rest = next.value
      }
      const copied = this.#rest.copy(buffer, filled)
      this.#rest = this.#rest.subarray(copied)
      filled += copied
    }
    return filled
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#source.destroy()
    return Promise.resolve()
  }
}

/** The largest chunk of `readerStream`. */
const chunkSize = 64 * 1024

/** What a reader yields, as a stream that disposes of it. `length` is how many bytes there are at most. */
export function readerStream(reader: RangeReader, length: number): Readable {
  let left = length
  return new Readable({
    highWaterMark: Math.min(chunkSize, Math.max(1, length)),
    read() {
      const buffer = Buffer.allocUnsafeSlow(Math.min(chunkSize, left))
      const reading = buffer.length === 0 ? Promise.resolve(0) : reader.read(buffer)
      reading.then(
        (read) => {
          left -= read
          this.push(read === 0 ? null : buffer.subarray(0, read))
        },
        (error: unknown) => {
          this.destroy(error instanceof Error ? error : new Error('A read failed.', { cause: error }))
        },
      )
    },
    destroy(error, done) {
      reader[Symbol.asyncDispose]().then(
        () => {
          done(error)
        },
        (failure: unknown) => {
          done(error ?? (failure as Error))
        },
      )
    },
  })
}

/** Disposes of a reader that is perhaps still being opened. */
export async function disposeOpened(opened: Promise<RangeReader> | undefined): Promise<void> {
  const [result] = await Promise.allSettled([opened])
  if (result.status === 'fulfilled') await result.value?.[Symbol.asyncDispose]()
}
