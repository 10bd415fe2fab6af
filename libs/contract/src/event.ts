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

/** Ids of events are those of a Redis stream: two numbers, with as many digits as they have at the most. */
export const eventIdPattern = '^[0-9]{1,16}-[0-9]{1,16}$'

/** Identifier of a server-sent event, of one build. */
export const EventId = Type.String({ pattern: eventIdPattern, examples: ['1773480413589-0'] })

/** A server-sent event, by its fields. */
export const ServerSentBuildEvent = Type.Object(
  {
    id: EventId,
    event: Type.Enum(['state', 'progress', 'log']),
    data: Type.String({ contentMediaType: 'application/json', contentSchema: BuildEvent }),
  },
  { title: 'ServerSentBuildEvent', additionalProperties: false },
)

export type StateEvent = Static<typeof StateEvent>
export type ProgressEvent = Static<typeof ProgressEvent>
export type LogEvent = Static<typeof LogEvent>
export type BuildEvent = Static<typeof BuildEvent>
