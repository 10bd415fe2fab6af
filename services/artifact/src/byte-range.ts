import { ProblemError } from '@edgesmith/contract/problem'

/** A part of a file: the first byte and how many. */
export type ByteRange = { readonly offset: number; readonly length: number }

/** The most ranges of one request, and how many of them may lie within others (RFC 9110, section 14.2). */
const maximumRanges = 128
const maximumOverlapping = 2

const rangeForm = /^(?:(?<first>\d+)-(?<last>\d*)|-(?<length>\d+))$/

/**
 * The ranges that a `Range` header asks for, in its order; those that overlap or adjoin are one. Undefined
 * when the whole file is to be sent: no header, a unit other than bytes, or a header that is not well formed
 * (RFC 9110, section 14.2).
 * @throws ProblemError `range-not-satisfiable` when no part of the file lies within the ranges, or when
 *   they are more than a client has a use for
 */
export function requestedRanges(header: string | undefined, size: number): ByteRange[] | undefined {
  const specs = header === undefined ? undefined : rangesIn(header)
  if (header === undefined || specs === undefined) return undefined
  const ranges: ByteRange[] = []
  for (const { first = '', last = '', length = '' } of specs) {
    // As the grammar has it, a last byte before the first makes the whole header invalid.
    if (first !== '' && last !== '' && Number(first) > Number(last)) return undefined
    const range = first === '' ? suffix(Number(length), size) : span(Number(first), last, size)
    if (range.length > 0) ranges.push(range)
  }
  if (ranges.length === 0) throw unsatisfiable(`${header.slice(0, 100)} lies outside it`, size)
  if (specs.length > maximumRanges) throw unsatisfiable(`${specs.length} ranges are too many`, size)
  const { joined, overlapping } = coalesce(ranges)
  if (overlapping > maximumOverlapping) throw unsatisfiable('the ranges overlap too often', size)
  return joined
}

/** The parts of a list of ranges, which may have empty elements; one pattern for all would take exponential time. */
function rangesIn(header: string): Record<string, string | undefined>[] | undefined {
  if (!/^bytes=/i.test(header)) return undefined
  const elements = header
    .slice('bytes='.length)
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '')
  const specs: Record<string, string | undefined>[] = []
  for (const element of elements) {
    const { groups } = rangeForm.exec(element) ?? {}
    if (groups === undefined) return undefined
    specs.push(groups)
  }
  return specs.length > 0 ? specs : undefined
}

function suffix(length: number, size: number): ByteRange {
  const offset = Math.max(0, size - length)
  return { offset, length: size - offset }
}

function span(first: number, last: string, size: number): ByteRange {
  const end = last === '' ? size : Math.min(size, Number(last) + 1)
  return { offset: first, length: end - first }
}

function unsatisfiable(reason: string, size: number): ProblemError {
  return new ProblemError('range-not-satisfiable', `The file has ${size} bytes; ${reason}.`, {
    headers: { 'content-range': `bytes */${size}` },
  })
}

/** Joins ranges that overlap or adjoin; a joined one stands where the first of its ranges did. */
function coalesce(ranges: readonly ByteRange[]): { joined: ByteRange[]; overlapping: number } {
  const groups: { offset: number; end: number; at: number }[] = []
  let overlapping = 0
  const byOffset = ranges.map((range, at) => ({ ...range, at })).sort((a, b) => a.offset - b.offset)
  for (const { offset, length, at } of byOffset) {
    const last = groups.at(-1)
    if (last === undefined || offset > last.end) groups.push({ offset, end: offset + length, at })
    else {
      if (offset < last.end) overlapping += 1
      last.end = Math.max(last.end, offset + length)
      last.at = Math.min(last.at, at)
    }
  }
  const joined = groups
    .sort((a, b) => a.at - b.at)
    .map(({ offset, end }) => ({ offset, length: end - offset }))
  return { joined, overlapping }
}
