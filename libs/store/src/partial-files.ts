import { constants, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from './errno.ts'
import { partOffset } from './parts.ts'

// They will be objects, and these hold secrets.
const fileMode = 0o600
const directoryMode = 0o700

/**
 * The directory of files that are written in parts, each part at its own offset: a complete file is
 * moved to where it belongs, so that nothing is copied. A file appears with its first part.
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
    await using file = await open(this.pathOf(id), constants.O_WRONLY | constants.O_CREAT, fileMode)
    const offset = partOffset(number)
    for (let written = 0; written < bytes.length;) {
      written += (await file.write(bytes, written, bytes.length - written, offset + written)).bytesWritten
    }
    await file.sync()
  }

  /** Cuts the file to its size in bytes; false when there is no file. Throws when it is shorter. */
  async finish(id: string, size: number): Promise<boolean> {
    try {
      await using file = await open(this.pathOf(id), constants.O_WRONLY)
      const found = (await file.stat()).size
      if (found < size) throw new Error(`The partial file ${id} has ${found} of ${size} bytes.`)
      await file.truncate(size)
      await file.sync()
      return true
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false
      throw error
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.pathOf(id), { force: true })
  }
}
