import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { RangeReader } from './range-reader.ts'

/** A new file that is read while it is written. It is closed once its writer and all its readers are done. */
export class GrowingFile {
  readonly #handle = Promise.withResolvers<FileHandle>()
  #size = 0
  #hasEnded = false
  #failure: { readonly error: unknown } | undefined
  #users = 1
  readonly #waiting = new Set<() => void>()

  constructor() {
    // Told to the readers, of which there may be none yet.
    this.#handle.promise.catch(() => undefined)
  }

  /** How many bytes it has now. */
  get size(): number {
    return this.#size
  }

  /** Makes the file, from when on it can be read. */
  async create(path: string, mode: number): Promise<void> {
    this.#handle.resolve(await open(path, 'wx+', mode))
  }

  async append(bytes: Buffer): Promise<void> {
    const file = await this.#handle.promise
    await file.writeFile(bytes)
    this.#size += bytes.length
    this.#wake()
  }

  /** Adds bytes that are not for the readers. */
  async seal(bytes: Buffer): Promise<void> {
    await (await this.#handle.promise).writeFile(bytes)
  }

  /** Nothing will be added; where an error is given, because of it. */
  async end(failure?: { readonly error: unknown }): Promise<void> {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#failure = failure
    if (failure !== undefined) this.#handle.reject(failure.error)
    this.#wake()
    await this.#release()
  }

  /** Reads from a byte on, and waits for what is not there yet. Fails as the writer does. */
  async openReader(offset: number): Promise<RangeReader> {
    this.#users += 1
    let isDisposed = false
    let position = offset
    const read = async (buffer: Buffer): Promise<number> => {
      const file = await this.#handle.promise
      let filled = 0
      while (filled < buffer.length) {
        if (isDisposed) throw new Error('The reader was closed.')
        const ready = Math.min(buffer.length - filled, this.#size - position)
        if (ready > 0) {
          const { bytesRead } = await file.read(buffer, filled, ready, position)
          filled += bytesRead
          position += bytesRead
        } else if (this.#failure !== undefined) throw this.#failure.error
        else if (this.#hasEnded) break
        else await this.#growth()
      }
      return filled
    }
    const dispose = async () => {
      if (isDisposed) return
      isDisposed = true
      this.#wake()
      await this.#release()
    }
    try {
      await this.#handle.promise
    } catch (error) {
      await dispose()
      throw error
    }
    return { read, [Symbol.asyncDispose]: dispose }
  }

  #growth(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  #wake(): void {
    for (const resume of this.#waiting) resume()
    this.#waiting.clear()
  }

  async #release(): Promise<void> {
    this.#users -= 1
    if (this.#users > 0) return
    const [opened] = await Promise.allSettled([this.#handle.promise])
    if (opened.status === 'fulfilled') await opened.value.close()
  }
}
