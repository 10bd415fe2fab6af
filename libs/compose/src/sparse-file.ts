import { open, type FileHandle } from 'node:fs/promises'
import type { Readable } from 'node:stream'

const zeros = Buffer.alloc(256 * 1024)

/** True when there is nothing but zeros. */
export function isZero(bytes: Buffer): boolean {
  for (let start = 0; start < bytes.length; start += zeros.length) {
    const part = bytes.subarray(start, start + zeros.length)
    if (part.compare(zeros, 0, part.length) !== 0) return false
  }
  return true
}

/** Makes a file of that many bytes, all of them a hole; the caller closes it. */
export async function createSparseFile(path: string, size: number): Promise<FileHandle> {
  const file = await open(path, 'wx+', 0o600)
  try {
    await file.truncate(size)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Writes bytes at an offset, however many writes that takes. */
export async function writeAt(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += (await file.write(bytes, written, bytes.length - written, offset + written)).bytesWritten
  }
}

/** Writes a stream at an offset; what is zero in it stays a hole. */
export async function writeStreamAt(
  file: FileHandle,
  source: Readable,
  { offset, signal }: { offset: number; signal: AbortSignal },
): Promise<void> {
  let position = offset
  for await (const chunk of source as AsyncIterable<Buffer>) {
    signal.throwIfAborted()
    if (!isZero(chunk)) await writeAt(file, chunk, position)
    position += chunk.length
  }
}
