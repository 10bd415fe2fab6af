import { open, type FileHandle } from 'node:fs/promises'
import { IsoError } from './fault.ts'

/** Bytes that can be read at any offset. `read` answers fewer bytes than asked only at the end. */
export type RandomAccess = {
  /** Size in bytes. */
  readonly size: number
  read(offset: number, length: number): Promise<Buffer>
}

/** An open file of that size in bytes, to be read at any offset; the caller closes it. */
export function fileReader(file: FileHandle, size: number): RandomAccess {
  return {
    size,
    async read(offset, length) {
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)))
      let filled = 0
      while (filled < buffer.length) {
        const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, offset + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return buffer.subarray(0, filled)
    },
  }
}

/** Opens a file for reading at any offset; dispose of the answer to close it. */
export async function openFileReader(path: string): Promise<RandomAccess & AsyncDisposable> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    return { ...fileReader(file, size), [Symbol.asyncDispose]: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * Reads exactly `length` bytes at `offset`; `what` names them in the message of the error.
 * @throws IsoError `truncated` when the image ends before
 */
export async function readExactly(
  reader: RandomAccess,
  offset: number,
  length: number,
  what: string,
): Promise<Buffer> {
  const bytes = await reader.read(offset, length)
  if (bytes.length < length) {
    throw new IsoError(
      'truncated',
      `The image ends at byte ${reader.size}, inside ${what} (bytes ${offset} to ${offset + length}).`,
    )
  }
  return bytes
}
