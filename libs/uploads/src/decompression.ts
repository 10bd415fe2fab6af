import { once } from 'node:events'
import type { Transform } from 'node:stream'
import { finished } from 'node:stream/promises'
import { countYoungGarbage } from './young-garbage.ts'

/**
 * A decoder of `node:zlib` whose output is counted and dropped. The decoding is done in Node's
 * thread pool; `write` waits while the decoder has as much as it will hold.
 */
export class Decompression {
  readonly #decoder: Transform
  readonly #ended: Promise<void>
  #failure: Error | undefined

  /** `count` is told of each piece of output in bytes; what it throws ends the decoding. */
  constructor(decoder: Transform, count: (bytes: number) => void) {
    this.#decoder = decoder
    this.#ended = finished(decoder)
    this.#ended.catch(() => undefined)
    decoder.on('error', (error) => {
      this.#failure = error
    })
    decoder.on('data', (chunk: Buffer) => {
      countYoungGarbage(chunk.length)
      try {
        count(chunk.length)
      } catch (error) {
        decoder.destroy(error as Error)
      }
    })
  }

  /** Throws the decoder's error, as soon as there is one. */
  async write(bytes: Buffer): Promise<void> {
    this.#throwIfFailed()
    if (!this.#decoder.write(bytes)) await once(this.#decoder, 'drain')
  }

  /** Waits until all is decoded. Throws the decoder's error. */
  async end(): Promise<void> {
    this.#throwIfFailed()
    this.#decoder.end()
    await this.#ended
  }

  close(): void {
    this.#decoder.destroy()
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}
