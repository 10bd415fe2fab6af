import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { eventIdPattern } from '@edgesmith/contract/event'
import { ProblemError } from '@edgesmith/contract/problem'

/** Before every event of a build. */
export const beforeFirstEvent = '0-0'

/** Behind every event of a build. */
export const afterLastEvent = '9999999999999999-0'

const pattern = new RegExp(eventIdPattern)

/** Orders two event ids: negative when `a` is the earlier. */
export function compareEventIds(a: string, b: string): number {
  const [aMs = 0, aSequence = 0] = a.split('-').map(Number)
  const [bMs = 0, bSequence = 0] = b.split('-').map(Number)
  return aMs - bMs || aSequence - bSequence
}

/** Throws `invalid-parameter` unless the text has the form of an event id. */
export function assertEventId(id: string): void {
  if (!pattern.test(id)) throw unknownEventId('It does not have the form of an event id.')
}

/** The problem of a `Last-Event-ID` that no event of the build has. */
export function unknownEventId(message = 'No event of this build has this id.'): Error {
  return invalidParameter('Last-Event-ID', message)
}

/** The problem of a parameter that is well-formed by the schema but means nothing here. */
function invalidParameter(name: string, message: string): ProblemError {
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
