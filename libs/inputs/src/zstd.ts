import { Readable } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'

/** The largest block of a Zstandard frame, in bytes. */
const blockSize = 128 * 1024

/**
 * Magic number; no checksum, an 8-byte content size, no single segment; a window of 128 KiB. With a single
 * segment the window would be as large as the content, and decoders refuse those above 128 MiB.
 */
const frameStart = Buffer.from('28b52ffdc038', 'hex')
const frameHeaderSize = frameStart.length + 8
const blockHeaderSize = 3

/** Size in bytes of the frame that `frameRaw` makes of that many bytes. */
export function rawFrameSize(contentSize: number): number {
  return frameHeaderSize + Math.max(1, Math.ceil(contentSize / blockSize)) * blockHeaderSize + contentSize
}

/**
 * Wraps bytes in a Zstandard frame of raw blocks (RFC 8878, 3.1.1): nothing is compressed, and it takes
 * constant memory. The source has to give exactly `contentSize` bytes.
 */
export function frameRaw(source: Readable, contentSize: number): Readable {
  const frame = Readable.from(rawFrame(source, contentSize), { objectMode: false })
  // The generator owns the source only once it is read from.
  source.once('error', (error) => frame.destroy(error))
  frame.once('close', () => source.destroy())
  return frame
}

async function* rawFrame(source: AsyncIterable<Buffer>, contentSize: number): AsyncGenerator<Buffer> {
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(contentSize))
  yield Buffer.concat([frameStart, size])
  let left = contentSize
  let pending: Buffer[] = []
  let length = 0
  for await (let chunk of source) {
    while (chunk.length > 0) {
      const wanted = Math.min(blockSize, left) - length
      if (wanted === 0) throw new RangeError(`There are more than the ${contentSize} bytes announced.`)
      const piece = chunk.subarray(0, wanted)
      chunk = chunk.subarray(piece.length)
      pending.push(piece)
      length += piece.length
      if (length < Math.min(blockSize, left)) continue
      left -= length
      yield rawBlockHeader(length, left === 0)
      yield* pending
      pending = []
      length = 0
    }
  }
  if (left > 0)
    throw new RangeError(`There are ${left - length} bytes less than the ${contentSize} announced.`)
}

function rawBlockHeader(size: number, isLast: boolean): Buffer {
  const header = Buffer.alloc(blockHeaderSize)
  header.writeUIntLE((size << 3) | (isLast ? 1 : 0), 0, blockHeaderSize)
  return header
}

/**
 * What a Zstandard file begins with once unpacked: up to `length` bytes, fewer when that much does not come
 * out of `head`, its first bytes. Whether the file is sound is not judged: an upload's is, as it arrives.
 */
export async function unpackedHead(head: Buffer, length: number): Promise<Buffer> {
  const decoder = createZstdDecompress()
  decoder.end(head)
  let unpacked = Buffer.alloc(0)
  try {
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      unpacked = Buffer.concat([unpacked, chunk])
      if (unpacked.length >= length) break
    }
  } catch (error) {
    // The head breaks off somewhere, unless it is the whole file.
    if (!isZstandardError(error)) throw error
  }
  return unpacked.subarray(0, length)
}

function isZstandardError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(ZSTD_error_|Z_BUF_ERROR)/.test(String(error.code))
}
