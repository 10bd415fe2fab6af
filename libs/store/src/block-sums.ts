import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'

/**
 * A file that is checked when it is read: its content; the CRC-32 of each 64 KiB of it; and the CRC-32 of the
 * content's size, so that a file that was cut off is told from a shorter one. All of it appears with the file.
 *
 * CRC-32 finds every burst of up to 32 bits in a block, and of 2^32 other changes all but one: enough for what
 * disks do. Nobody is kept from changing a file who can write its sums as well.
 */
export const blockSize = 64 * 1024

/** Bytes of a sum. */
export const sumSize = 4

/** Sums the blocks of a content that comes in pieces of any size. */
export class BlockSums {
  readonly #sums: number[] = []
  #size = 0
  #current = 0

  /** How many bytes have come. */
  get size(): number {
    return this.#size
  }

  add(bytes: Buffer): void {
    for (let taken = 0; taken < bytes.length;) {
      const room = blockSize - (this.#size % blockSize)
      const piece = bytes.subarray(taken, taken + room)
      this.#current = crc32(piece, this.#current)
      this.#size += piece.length
      taken += piece.length
      if (piece.length === room) this.#endBlock()
    }
  }

  /** What comes behind the content. To be asked once, at the end. */
  trailer(): Buffer {
    if (this.#size % blockSize > 0) this.#endBlock()
    return makeTrailer(encodeSums(this.#sums), this.#size)
  }

  #endBlock(): void {
    this.#sums.push(this.#current)
    this.#current = 0
  }
}

/** Sums of the blocks of bytes that begin with a block. */
export function sumsOf(bytes: Buffer): Buffer {
  const sums: number[] = []
  for (let from = 0; from < bytes.length; from += blockSize) {
    sums.push(crc32(bytes.subarray(from, from + blockSize)))
  }
  return encodeSums(sums)
}

/** What comes behind a content of `size` bytes. */
export function makeTrailer(sums: Buffer, size: number): Buffer {
  const end = Buffer.alloc(sumSize)
  end.writeUInt32LE(sumOfSize(size))
  return Buffer.concat([sums, end])
}

/** How many blocks a content has. */
export function blockCount(size: number): number {
  return Math.ceil(size / blockSize)
}

/** The size of the content of a file of so many bytes; undefined where no content makes such a file. */
export function contentSize(fileSize: number): number | undefined {
  const rest = fileSize - sumSize
  const size = rest - sumSize * Math.ceil(rest / (blockSize + sumSize))
  return rest >= 0 && size >= 0 && size + sumSize * blockCount(size) === rest ? size : undefined
}

/** Whether a file ends as one with a content of this size does. */
export async function hasSize(file: FileHandle, size: number): Promise<boolean> {
  const end = Buffer.alloc(sumSize)
  const { bytesRead } = await file.read(end, 0, sumSize, size + sumSize * blockCount(size))
  return bytesRead === sumSize && end.readUInt32LE() === sumOfSize(size)
}

function sumOfSize(size: number): number {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(size))
  return crc32(bytes)
}

function encodeSums(sums: readonly number[]): Buffer {
  const bytes = Buffer.alloc(sums.length * sumSize)
  for (const [index, sum] of sums.entries()) bytes.writeUInt32LE(sum, index * sumSize)
  return bytes
}
