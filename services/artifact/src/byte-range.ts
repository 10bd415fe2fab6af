import { ProblemError } from '@edgesmith/contract/problem'
import parseRange from 'range-parser'

/** A part of a file: the first byte and how many. */
export type ByteRange = { readonly offset: number; readonly length: number }

/**
 * The one range a `Range` header asks for, or undefined when the whole file is to be sent: no header, a
 * unit other than bytes, a header that is not well formed, or several ranges (RFC 9110, section 14.2).
 * @throws ProblemError `range-not-satisfiable` when no part of the file lies within the range.
 */
export function requestedRange(header: string | undefined, size: number): ByteRange | undefined {
  if (header === undefined) return undefined
  const ranges = parseRange(size, header, { combine: true })
  if (ranges === -1) {
    throw new ProblemError(
      'range-not-satisfiable',
      `The file has ${size} bytes; ${header.slice(0, 100)} lies outside it.`,
      {
        headers: { 'content-range': `bytes */${size}` },
      },
    )
  }
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return undefined
  const [{ start, end }] = ranges as unknown as [{ start: number; end: number }]
  return { offset: start, length: end - start + 1 }
}
