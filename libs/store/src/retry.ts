import { setTimeout as delay } from 'node:timers/promises'
import { isErrno } from './errno.ts'

/** The server answered that it cannot serve the request now. */
export class ServerBusy extends Error {
  override name = 'ServerBusy'
}

const maximumAttempts = 4
const firstDelay = 100

/**
 * Runs an operation that may be repeated without harm, and up to three times again when the
 * connection breaks or the server is busy, after 100, 200 and 400 ms.
 */
export async function retrying<Result>(operation: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await operation()
    } catch (error) {
      if (attempt === maximumAttempts || !isTransient(error)) throw error
      await delay(firstDelay * 2 ** (attempt - 1))
    }
  }
}

function isTransient(error: unknown): boolean {
  return error instanceof ServerBusy || isErrno(error, 'ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT')
}
