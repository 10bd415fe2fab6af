import { Type, type Static } from 'typebox'
import { BuildFailure, BuildProgress, BuildState } from './build.ts'
import { Timestamp } from './identifiers.ts'

/** The build came to a state. Server-sent event name: `state`. */
export const StateEvent = Type.Object(
  {
    type: Type.Literal('state'),
    at: Timestamp,
    state: BuildState,
    attempt: Type.Integer({ minimum: 1 }),
    failure: Type.Optional(BuildFailure),
  },
  { additionalProperties: false },
)

/** The build came to another target or step. Server-sent event name: `progress`. */
export const ProgressEvent = Type.Object(
  { type: Type.Literal('progress'), at: Timestamp, progress: BuildProgress },
  { additionalProperties: false },
)

/** One line of the build's log. Server-sent event name: `log`. */
export const LogEvent = Type.Object(
  {
    type: Type.Literal('log'),
    at: Timestamp,
    line: Type.String({ description: 'The line, without its end.' }),
    target: Type.Optional(Type.String({ description: 'The Earthly target that printed it.' })),
  },
  { additionalProperties: false },
)

/** What `GET /v1/builds/{id}/events` sends as the data of each server-sent event. */
export const BuildEvent = Type.Union([StateEvent, ProgressEvent, LogEvent], { title: 'BuildEvent' })

export type StateEvent = Static<typeof StateEvent>
export type ProgressEvent = Static<typeof ProgressEvent>
export type LogEvent = Static<typeof LogEvent>
export type BuildEvent = Static<typeof BuildEvent>
