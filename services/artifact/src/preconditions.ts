import type { IncomingHttpHeaders } from 'node:http'
import { ProblemError } from '@edgesmith/contract/problem'

/** What tells one representation from another (RFC 9110, section 8.8). */
export type Validators = {
  /** Strong entity tag, with its quotes. */
  readonly etag: string
  readonly lastModified: Date
}

/**
 * Evaluates the preconditions of a GET or HEAD in the order of RFC 9110, section 13.2.2: true when the
 * client has the file already.
 * @throws ProblemError `precondition-failed`
 */
export function isNotModified(headers: IncomingHttpHeaders, { etag, lastModified }: Validators): boolean {
  const ifMatch = headers['if-match']
  const modified = wholeSeconds(lastModified)
  if (ifMatch !== undefined) {
    if (!tagsOf(ifMatch).some((tag) => tag === '*' || tag === etag)) throw failed(`its ETag is ${etag}`)
  } else {
    const since = dateOf(headers['if-unmodified-since'])
    if (since !== undefined && modified > since) throw failed(`it is from ${lastModified.toUTCString()}`)
  }
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) {
    return tagsOf(ifNoneMatch).some((tag) => tag === '*' || tag.replace(/^W\//, '') === etag)
  }
  const since = dateOf(headers['if-modified-since'])
  return since !== undefined && modified <= since
}

/**
 * Whether a `Range` is to be heeded: the client's part is of this very file (RFC 9110, section 13.1.5). A
 * date is as good as the ETag, for a file never changes under its URL.
 */
export function isRangeCurrent(
  ifRange: string | string[] | undefined,
  { etag, lastModified }: Validators,
): boolean {
  if (ifRange === undefined) return true
  const condition = [ifRange].flat().join().trim()
  if (/^(?:W\/)?"/.test(condition)) return condition === etag
  return dateOf(condition) === wholeSeconds(lastModified)
}

function failed(reason: string): ProblemError {
  return new ProblemError('precondition-failed', `The file is another one: ${reason}.`)
}

function tagsOf(header: string): string[] {
  return header.match(/\*|(?:W\/)?"[^"]*"/g) ?? []
}

/** A date in seconds; undefined for what is none, which is to be ignored. */
function dateOf(header: string | undefined): number | undefined {
  const parsed = header === undefined ? Number.NaN : Date.parse(header)
  return Number.isNaN(parsed) ? undefined : parsed / 1000
}

function wholeSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}
