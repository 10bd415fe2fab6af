import type { RandomAccess } from '@edgesmith/iso/random-access'

/** Bytes in memory, to be read at any offset. */
export function bufferReader(bytes: Buffer): RandomAccess {
  return {
    size: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
  }
}
