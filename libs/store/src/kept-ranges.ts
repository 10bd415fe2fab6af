import type { ByteRange } from './object-store.ts'
import type { RangeReader, RangeSource } from './range-reader.ts'

/** Ranges up to this size, in bytes, are kept. */
const largestKept = 64 * 1024

/**
 * Keeps the small ranges in memory that were read last, of objects that never change. One that is removed may
 * still be answered.
 */
export class KeptRanges implements RangeSource {
  readonly #source: RangeSource
  readonly #maximum: number
  readonly #kept = new Map<string, Buffer>()

  /** At most `maximum` ranges are kept, each of 64 KiB or less. */
  constructor(source: RangeSource, { maximum }: { maximum: number }) {
    this.#source = source
    this.#maximum = maximum
  }

  async openRange(key: string, range: Required<ByteRange>): Promise<RangeReader> {
    if (range.length > largestKept) return this.#source.openRange(key, range)
    const id = `${key} ${range.offset} ${range.length}`
    const bytes = this.#kept.get(id) ?? (await this.#read(key, range))
    // The one that was used last is the last one of the map.
    this.#kept.delete(id)
    this.#kept.set(id, bytes)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#maximum) break
      this.#kept.delete(oldest)
    }
    return new BytesReader(bytes)
  }

  async #read(key: string, range: Required<ByteRange>): Promise<Buffer> {
    await using reader = await this.#source.openRange(key, range)
    const bytes = Buffer.allocUnsafeSlow(range.length)
    const read = await reader.read(bytes)
    // An object that ends before its range does not hold the memory of all of it.
    return read < bytes.length / 2 ? Buffer.from(bytes.subarray(0, read)) : bytes.subarray(0, read)
  }
}

class BytesReader implements RangeReader {
  #rest: Buffer

  constructor(bytes: Buffer) {
    this.#rest = bytes
  }

  read(buffer: Buffer): Promise<number> {
    const copied = this.#rest.copy(buffer)
    this.#rest = this.#rest.subarray(copied)
    return Promise.resolve(copied)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}
