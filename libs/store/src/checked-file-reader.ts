import { open, type FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { blockCount, blockSize, contentSize, hasSize, sumSize } from './block-sums.ts'
import type { ByteRange } from './object-store.ts'
import type { RangeReader } from './range-reader.ts'

/** Sums that are read at a time. */
const sumsAtOnce = 1024

/** Buffers of a block that no reader uses now: garbage of this size is collected late. */
const idle: Buffer[] = []
const maximumIdle = 64

/** The bytes of a file are not those that were written. */
export class DamagedFile extends Error {
  override name = 'DamagedFile'
  readonly path: string
  /** The byte of the content at or behind which the damage is. */
  readonly offset: number

  constructor(path: string, offset: number) {
    super(`The file ${path} is damaged at or behind byte ${offset}.`)
    this.path = path
    this.offset = offset
  }
}

/** Reads a range of a file with sums (`BlockSums`); each block is checked before any byte of it is given out. */
export class CheckedFileReader implements RangeReader {
  readonly #file: FileHandle
  readonly #path: string
  readonly #size: number
  readonly #end: number
  #position: number
  #sums: { first: number; bytes: Buffer } = { first: 0, bytes: Buffer.alloc(0) }
  /** The block that the range begins in, or a buffer has ended in. */
  #held: { index: number; bytes: Buffer } = { index: -1, bytes: Buffer.alloc(0) }

  private constructor(
    { file, path, size }: { file: FileHandle; path: string; size: number },
    { offset, length = Infinity }: ByteRange & { offset: number },
  ) {
    this.#file = file
    this.#path = path
    this.#size = size
    this.#position = offset
    this.#end = Math.min(offset + length, size)
  }

  /** @throws DamagedFile when the file does not end as it should; what `open` throws */
  static async open(path: string, { offset = 0, length }: ByteRange = {}): Promise<CheckedFileReader> {
    const file = await open(path)
    try {
      const size = contentSize((await file.stat()).size)
      if (size === undefined || !(await hasSize(file, size))) throw new DamagedFile(path, 0)
      return new CheckedFileReader(
        { file, path, size },
        { offset, ...(length === undefined ? {} : { length }) },
      )
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** How many bytes are still to be read. */
  get left(): number {
    return Math.max(0, this.#end - this.#position)
  }

  async read(buffer: Buffer): Promise<number> {
    const wanted = Math.min(buffer.length, this.left)
    let filled = 0
    while (filled < wanted) {
      const rest = buffer.subarray(filled, wanted)
      const wholeBlocks = this.#wholeBlocks(rest.length)
      if (wholeBlocks > 0) await this.#readBlocks(rest.subarray(0, wholeBlocks))
      const taken = wholeBlocks > 0 ? wholeBlocks : (await this.#holdBlock()).copy(rest)
      filled += taken
      this.#position += taken
    }
    return filled
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Once this has ended no read is under way.
    await this.#file.close()
    const { bytes } = this.#held
    this.#held = { index: -1, bytes: Buffer.alloc(0) }
    if (bytes.length === blockSize && idle.length < maximumIdle) idle.push(bytes)
  }

  /** How many of the next bytes are whole blocks, of which none is held; the last block may be short. */
  #wholeBlocks(length: number): number {
    const position = this.#position
    if (position % blockSize !== 0 || this.#held.index === position / blockSize) return 0
    return position + length === this.#size ? length : length - (length % blockSize)
  }

  async #readBlocks(target: Buffer): Promise<void> {
    const from = this.#position
    await this.#readExactly(target, from)
    for (let at = 0; at < target.length; at += blockSize) {
      const index = (from + at) / blockSize
      const sum = this.#sumOf(index) ?? (await this.#readSums(index))
      if (crc32(target.subarray(at, at + blockSize)) !== sum) {
        throw new DamagedFile(this.#path, index * blockSize)
      }
    }
  }

  /** The rest of the block that the position is in. */
  async #holdBlock(): Promise<Buffer> {
    const index = Math.floor(this.#position / blockSize)
    const start = index * blockSize
    if (this.#held.index !== index) {
      const bytes =
        this.#held.bytes.length === blockSize
          ? this.#held.bytes
          : (idle.pop() ?? Buffer.allocUnsafeSlow(blockSize))
      this.#held = { index: -1, bytes }
      const block = bytes.subarray(0, Math.min(blockSize, this.#size - start))
      await this.#readExactly(block, start)
      const sum = this.#sumOf(index) ?? (await this.#readSums(index))
      if (crc32(block) !== sum) throw new DamagedFile(this.#path, start)
      this.#held = { index, bytes }
    }
    return this.#held.bytes.subarray(this.#position - start, Math.min(blockSize, this.#end - start))
  }

  #sumOf(index: number): number | undefined {
    const { first, bytes } = this.#sums
    const at = (index - first) * sumSize
    return at >= 0 && at < bytes.length ? bytes.readUInt32LE(at) : undefined
  }

  async #readSums(index: number): Promise<number> {
    const count = Math.min(sumsAtOnce, blockCount(this.#size) - index)
    const bytes = Buffer.alloc(count * sumSize)
    await this.#readExactly(bytes, this.#size + index * sumSize)
    this.#sums = { first: index, bytes }
    return bytes.readUInt32LE()
  }

  async #readExactly(target: Buffer, offset: number): Promise<void> {
    for (let filled = 0; filled < target.length;) {
      const { bytesRead } = await this.#file.read(target, filled, target.length - filled, offset + filled)
      if (bytesRead === 0) throw new DamagedFile(this.#path, Math.min(offset, this.#size))
      filled += bytesRead
    }
  }
}
