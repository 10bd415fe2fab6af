import { constants, mkdir, open, readFile, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { blockCount, blockSize, makeTrailer, sumSize, sumsOf } from './block-sums.ts'
import { isErrno } from './errno.ts'
import { partOffset } from './parts.ts'

// They will be objects, and these hold secrets.
const fileMode = 0o600
const directoryMode = 0o700

/**
 * The directory of files that are written in parts, each part at its own offset: a complete file is
 * moved to where it belongs, so that nothing is copied. A file appears with its first part. The sums of its
 * blocks are kept in a file beside it until then.
 */
export class PartialFiles {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  pathOf(id: string): string {
    return join(this.#directory, id)
  }

  /** Writes a part and syncs it to the disk. */
  async write(id: string, number: number, bytes: Buffer): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: directoryMode })
    const offset = partOffset(number)
    await writeAt(this.#sumsOf(id), (offset / blockSize) * sumSize, sumsOf(bytes))
    await writeAt(this.pathOf(id), offset, bytes)
  }

  /**
   * Cuts the file to its size in bytes and writes its sums behind them; false when there is no file. Throws
   * when it is shorter.
   */
  async finish(id: string, size: number): Promise<boolean> {
    try {
      await using file = await open(this.pathOf(id), constants.O_RDWR)
      const found = (await file.stat()).size
      if (found < size) throw new Error(`The partial file ${id} has ${found} of ${size} bytes.`)
      const sums = await this.#readSums(id, file, size)
      await file.truncate(size)
      await file.write(makeTrailer(sums, size), 0, undefined, size)
      await file.sync()
      return true
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false
      throw error
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.pathOf(id), { force: true })
    await rm(this.#sumsOf(id), { force: true })
  }

  /** The sums of the first `size` bytes; those of a part that an earlier version wrote are made now. */
  async #readSums(id: string, file: FileHandle, size: number): Promise<Buffer> {
    const sums = Buffer.alloc(blockCount(size) * sumSize)
    try {
      ;(await readFile(this.#sumsOf(id))).copy(sums)
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
    const block = Buffer.alloc(blockSize)
    for (let index = 0; index < blockCount(size); index += 1) {
      if (sums.readUInt32LE(index * sumSize) !== 0) continue
      const length = Math.min(blockSize, size - index * blockSize)
      await file.read(block, 0, length, index * blockSize)
      sumsOf(block.subarray(0, length)).copy(sums, index * sumSize)
    }
    return sums
  }

  #sumsOf(id: string): string {
    return join(this.#directory, `${id}.sums`)
  }
}

async function writeAt(path: string, offset: number, bytes: Buffer): Promise<void> {
  await using file = await open(path, constants.O_WRONLY | constants.O_CREAT, fileMode)
  for (let written = 0; written < bytes.length;) {
    written += (await file.write(bytes, written, bytes.length - written, offset + written)).bytesWritten
  }
  await file.sync()
}
