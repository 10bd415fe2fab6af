import { setTimeout as delay } from 'node:timers/promises'
import { isErrno } from './errno.ts'
import { isS3Error } from './s3-error.ts'

/** The server answered that it cannot serve the request now; `code` is S3's, where it gave one. */
export class ServerBusy extends Error {
  override name = 'ServerBusy'
  readonly status: number | undefined
  readonly code: string | undefined

  constructor({ status, code }: { status: number | undefined; code?: string | undefined }) {
    super(`The object store answered ${String(status)}${code === undefined ? '' : ` (${code})`}.`)
    this.status = status
    this.code = code
  }
}

/** The server has the request, or the connection, and says nothing. */
export class ServerSilent extends Error {
  override name = 'ServerSilent'

  constructor(milliseconds: number) {
    super(`The object store has not answered for ${milliseconds} ms.`)
  }
}

/** The connection ended before the answer did. */
export class AnswerCut extends Error {
  override name = 'AnswerCut'
}

/** The object store cannot be reached, and was waited for as long as it may be. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable'
}

/** How long a store that is away is waited for. */
export type Patience = {
  /** No attempt is begun later than this after the first one was, in milliseconds. */
  readonly waitMs: number
  /** How long the server may be silent when it is to answer, or to send, in milliseconds. */
  readonly answerMs: number
  /** Ends the waiting: what fails then is not tried again. */
  readonly signal?: AbortSignal | undefined
}

const firstDelay = 100
const longestDelay = 2000

/** Codes of the system for a server that is not there, or not any more. */
const absent = [
  ...['ECONNABORTED', 'ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'EHOSTDOWN'],
  ...['ENETUNREACH', 'ENETDOWN', 'EAI_AGAIN', 'ENOTFOUND'],
]

/**
 * Runs an operation that may be repeated without harm, and again while the connection breaks or the server
 * is busy: after 100 ms, then after twice as long each time, 2 s at most. The operation is told which attempt
 * it is, counted from 1.
 * @throws StoreUnavailable when patience ends
 */
export async function retrying<Result>(
  { waitMs, signal }: Patience,
  operation: (attempt: number) => Promise<Result>,
): Promise<Result> {
  const deadline = Date.now() + waitMs
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await operation(attempt)
    } catch (error) {
      if (!isTransient(error)) throw error
      const pause = Math.min(firstDelay * 2 ** (attempt - 1), longestDelay)
      if (Date.now() + pause > deadline || signal?.aborted === true) {
        throw new StoreUnavailable('The object store cannot be reached.', { cause: error })
      }
      // Aborted, it is tried a last time.
      await delay(pause, undefined, { signal }).catch(() => undefined)
    }
  }
}

/** Whether an error says that the server is away, and not that it refuses. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof ServerBusy ||
    error instanceof ServerSilent ||
    error instanceof AnswerCut ||
    // One of the two clocks has jumped, and will be set right.
    isS3Error(error, 'RequestTimeTooSkewed') ||
    isErrno(error, ...absent)
  )
}
