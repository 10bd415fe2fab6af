import { setTimeout as delay } from 'node:timers/promises'
import type { RangeReader } from './range-reader.ts'
import { isTransient } from './retry.ts'

/** Pause before a read that broke off goes on, in milliseconds: the next is opened with pauses of its own. */
const pauseMs = 100

export type ResumedReaderOptions = {
  /** The reader that begins at `offset`; it is disposed of with this one. */
  readonly first: RangeReader
  readonly offset: number
  /** Opens the rest of the range from a byte on, of the very same version of the object. */
  readonly reopen: (offset: number) => Promise<RangeReader>
  /** Is given each read; throws in place of one that shall not be tried again. */
  readonly judge: <Result>(offset: number, read: Promise<Result>) => Promise<Result>
}

/** Reads on where a connection broke off, once the server is there again. */
export class ResumedReader implements RangeReader {
  readonly #options: ResumedReaderOptions
  #position: number
  #current: RangeReader
  #isDisposed = false

  constructor(options: ResumedReaderOptions) {
    this.#options = options
    this.#position = options.offset
    this.#current = options.first
  }

  async read(buffer: Buffer): Promise<number> {
    const { judge } = this.#options
    for (;;) {
      try {
        const read = await judge(this.#position, this.#current.read(buffer))
        this.#position += read
        return read
      } catch (error) {
        if (this.#isDisposed || !isTransient(error)) throw error
      }
      await this.#resume()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await this.#current[Symbol.asyncDispose]()
  }

  async #resume(): Promise<void> {
    await this.#current[Symbol.asyncDispose]()
    await delay(pauseMs)
    this.#throwIfDisposed()
    const opened = await this.#options.reopen(this.#position)
    this.#current = opened
    if (!this.#isDisposed) return
    await opened[Symbol.asyncDispose]()
    this.#throwIfDisposed()
  }

  #throwIfDisposed(): void {
    if (this.#isDisposed) throw new Error('The reader was closed.')
  }
}
