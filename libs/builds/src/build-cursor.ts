import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { ProblemError } from '@edgesmith/contract/problem'
import { validate } from 'uuid'

const marker = 'b1:'

/** The cursor of the page that follows the build with this id. It is opaque to clients. */
export function encodeCursor(lastId: string): string {
  return Buffer.from(`${marker}${lastId}`).toString('base64url')
}

/** The id in a cursor. Throws `invalid-parameter` when a client made the cursor up. */
export function decodeCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('latin1')
  const id = text.slice(marker.length)
  if (text.startsWith(marker) && validate(id) && encodeCursor(id) === cursor) return id
  throw invalidParameter('cursor', 'It is not a cursor that this service gave out. Start again without it.')
}

/** The problem of a parameter that is well-formed by the schema but means nothing here. */
export function invalidParameter(name: string, message: string): ProblemError {
  const fault: Diagnostic = {
    severity: 'error',
    code: 'parameter.invalid',
    message,
    source: 'request',
    pointer: `/${name}`,
  }
  return new ProblemError('invalid-parameter', `The parameter ${name} is not valid: ${message}`, {
    errors: [fault],
  })
}
