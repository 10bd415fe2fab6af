import { Type, type Static } from 'typebox'
import { BuildTarget, Labels } from './build-spec.ts'
import { Timestamp } from './identifiers.ts'

/** The states in which a build can be deleted. */
const EndedState = Type.Enum(['succeeded', 'failed', 'canceled', 'timed-out'])

/** Which ended builds go, and when. */
export const RetentionPolicy = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$',
      description: 'Name of the policy, as reports have it.',
      examples: ['trials'],
    }),
    match: Type.Optional(
      Type.Object(
        {
          labels: Type.Optional(Labels),
          target: Type.Optional(BuildTarget),
          state: Type.Optional(Type.Array(EndedState, { minItems: 1, uniqueItems: true })),
        },
        {
          additionalProperties: false,
          description:
            'Ended builds that the policy is about: those with all of the labels, the target, and one of the states. All ended builds when left out.',
        },
      ),
    ),
    keep: Type.Object(
      {
        maxAgeDays: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 36_500,
            description: 'Days after its end for which a build is kept.',
          }),
        ),
        maxCount: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 1_000_000,
            description: 'How many of the matching builds are kept: those that ended last.',
          }),
        ),
      },
      {
        additionalProperties: false,
        minProperties: 1,
        description: 'A build that exceeds one of these is deleted.',
      },
    ),
  },
  { title: 'RetentionPolicy', additionalProperties: false },
)

/** All policies. A build goes when one of them says so. */
export const RetentionPolicies = Type.Object(
  { policies: Type.Array(RetentionPolicy, { maxItems: 100 }) },
  {
    title: 'RetentionPolicies',
    additionalProperties: false,
    description: 'Which ended builds are deleted, and when; without policies none is.',
    examples: [
      {
        policies: [
          { name: 'trials', match: { labels: { stage: 'trial' } }, keep: { maxAgeDays: 7 } },
          { name: 'failed', match: { state: ['failed', 'canceled', 'timed-out'] }, keep: { maxCount: 50 } },
        ],
      },
    ],
  },
)

/** Body of `POST /v1/retention/runs`. */
export const RetentionRunRequest = Type.Object(
  { dryRun: Type.Boolean({ description: 'True to tell what would go, and remove nothing.' }) },
  { title: 'RetentionRunRequest', additionalProperties: false, examples: [{ dryRun: true }] },
)

/** Most items that a report names of each kind. */
export const reportItemLimit = 1000

const removed = (description: string, id: string) =>
  Type.Object(
    {
      count: Type.Integer({ minimum: 0 }),
      bytes: Type.Integer({ minimum: 0, description: 'Bytes of their objects in the store.' }),
      items: Type.Array(Type.String(), {
        maxItems: reportItemLimit,
        description: `${id} of the first ${reportItemLimit} of them.`,
      }),
    },
    { additionalProperties: false, description },
  )

const nothing = { count: 0, bytes: 0, items: [] }

/** What a run removed or, when it is dry, would remove. */
export const RetentionReport = Type.Object(
  {
    dryRun: Type.Boolean(),
    startedAt: Timestamp,
    endedAt: Timestamp,
    complete: Type.Boolean({
      description: 'False when the run ended early, at its time limit; the next one goes on.',
    }),
    bytes: Type.Integer({ minimum: 0, description: 'Bytes of all that is named below.' }),
    builds: removed('Builds that a policy deletes, with their logs and events.', 'Identifiers'),
    artifacts: removed('Artifacts of those builds, and artifacts that no build lists.', 'Identifiers'),
    bases: removed('Bases that nothing refers to any more.', 'Identifiers'),
    uploads: removed('Uploads that nothing refers to and nobody used lately.', 'Content ids'),
    fleets: removed('Records of fleets whose builds are all gone.', 'Identifiers'),
    objects: removed('Objects that were left behind, by a service that died for example.', 'Keys'),
  },
  {
    title: 'RetentionReport',
    additionalProperties: false,
    examples: [
      {
        dryRun: true,
        startedAt: '2026-03-14T09:26:53.589Z',
        endedAt: '2026-03-14T09:26:53.720Z',
        complete: true,
        bytes: 1052672,
        builds: { count: 1, bytes: 4096, items: ['01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'] },
        artifacts: nothing,
        bases: nothing,
        uploads: {
          count: 1,
          bytes: 1048576,
          items: ['sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
        },
        fleets: nothing,
        objects: nothing,
      },
    ],
  },
)

export type RetentionPolicies = Static<typeof RetentionPolicies>
export type RetentionPolicy = Static<typeof RetentionPolicy>
export type RetentionReport = Static<typeof RetentionReport>
export type RetentionRunRequest = Static<typeof RetentionRunRequest>
