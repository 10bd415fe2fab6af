import { ProblemError } from '@edgesmith/contract/problem'
import type { App } from './app.ts'

/** Most bytes of the head of a request, its line and its header fields together. */
export const maxHeadBytes = 16 * 1024

/** Most header fields of a request. Node.js leaves out what is beyond its own limit, and says nothing. */
const maxHeaderFields = 100

/** Longest path and query of a request, in characters. */
const maxUrlLength = 8192

/** Refuses requests whose head is beyond what the service takes, before anything is made of it. */
export function limitHeads(app: App): void {
  app.addHook('onRequest', ({ raw }, _reply, done) => {
    done(faultOf(raw.url ?? '', raw.rawHeaders.length / 2))
  })
}

function faultOf(url: string, fields: number): ProblemError | undefined {
  if (url.length > maxUrlLength) {
    return new ProblemError('uri-too-long', `A path with its query has at most ${maxUrlLength} characters.`)
  }
  if (fields > maxHeaderFields) {
    return new ProblemError(
      'header-fields-too-large',
      `A request has at most ${maxHeaderFields} header fields; this one has ${fields}.`,
    )
  }
  return undefined
}
