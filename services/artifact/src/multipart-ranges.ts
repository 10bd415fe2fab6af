import { randomUUID } from 'node:crypto'
import { sizeOf, type ReadablePiece } from '@edgesmith/store/pieces'
import type { ByteRange } from './byte-range.ts'

/** A body of several ranges (`multipart/byteranges`; RFC 9110, section 14.6). */
export type MultipartRanges = {
  readonly contentType: string
  readonly length: number
  readonly pieces: readonly ReadablePiece[]
}

/** Puts ranges of a file into one body; `slice` answers what a range is made of. */
export function multipartRanges(
  ranges: readonly ByteRange[],
  file: { mediaType: string; size: number },
  slice: (range: ByteRange) => readonly ReadablePiece[],
): MultipartRanges {
  const boundary = randomUUID()
  const pieces = ranges.flatMap((range, index) => {
    const { offset, length } = range
    const head = [
      `${index === 0 ? '' : '\r\n'}--${boundary}`,
      `Content-Type: ${file.mediaType}`,
      `Content-Range: ${contentRange(range, file.size)}`,
    ]
    return [bytesPiece(`${head.join('\r\n')}\r\n\r\n`), ...slice({ offset, length })]
  })
  pieces.push(bytesPiece(`\r\n--${boundary}--\r\n`))
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length: sizeOf(pieces), pieces }
}

/** The value of Content-Range. */
export function contentRange({ offset, length }: ByteRange, size: number): string {
  return `bytes ${offset}-${offset + length - 1}/${size}`
}

function bytesPiece(text: string): ReadablePiece {
  const bytes = Buffer.from(text, 'latin1')
  return { length: bytes.length, bytes }
}
