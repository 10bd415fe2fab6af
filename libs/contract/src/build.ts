import { Type, type Static } from 'typebox'
import { Artifact, artifactExample } from './artifact.ts'
import { BuildSpec, BuildTarget, Labels } from './build-spec.ts'
import { Diagnostic } from './diagnostic.ts'
import { BuildId, Cursor, FileName, NextCursor, Sha256Hex, Timestamp } from './identifiers.ts'
import { ProjectId, TenantId } from './project.ts'
import { CanvosTag } from './release.ts'
import { Sealed } from './secret.ts'

/** The states of a build. The last four are ends. */
export const BuildState = Type.Enum(['queued', 'running', 'succeeded', 'failed', 'canceled', 'timed-out'], {
  description: 'State of the build; `succeeded`, `failed`, `canceled` and `timed-out` are ends.',
})

/** The ways to an ISO, the service's choice. */
export const BuildRoad = Type.Enum(['build', 'compose', 'stamp'], {
  description:
    'How the ISO was made: `build` ran Earthly, `compose` laid other files around the root file system of an earlier build, `stamp` put other user-data into an image of an earlier build.',
})

/** An image that a build started from, as its registry resolved it. */
export const ResolvedImage = Type.Object(
  {
    reference: Type.String({ examples: ['us-docker.pkg.dev/palette-images/edge/kairos-ubuntu:22.04'] }),
    digest: Type.String({ pattern: '^sha256:[0-9a-f]{64}$', description: 'Digest of its manifest.' }),
  },
  { title: 'ResolvedImage', additionalProperties: false },
)

/** What ran Earthly for a build. */
export const BuildEngine = Type.Object(
  {
    repository: Type.String({
      description: 'The CanvOS repository that the tag was taken from, without credentials.',
      examples: ['https://github.com/spectrocloud/CanvOS.git'],
    }),
    images: Type.Array(Type.String({ pattern: '^sha256:[0-9a-f]{64}$' }), {
      description: 'Identifiers of the images of the build engine: its client, and its BuildKit daemon.',
    }),
  },
  { title: 'BuildEngine', additionalProperties: false },
)

/** Why a build ended without success: the codes of a failure's `type`. */
export const failures = {
  'target-failed': 'A target of the Earthfile failed',
  'image-unavailable': 'An image that the build needs cannot be pulled',
  'engine-failed': 'The build engine ended without naming a failed target',
  'out-of-memory': 'The build ran out of memory',
  'disk-full': 'The build took more disk than there is',
  canceled: 'The build was canceled',
  'timed-out': 'The build exceeded its time limit',
  'no-output': 'The build left no files behind',
  'checksum-mismatch': 'A file does not match the checksum written beside it',
  'invalid-iso': 'The ISO image is not valid',
  'invalid-output': 'A file that the build left cannot be an artifact',
  'input-missing': 'An input is not in the ISO image as it was given',
  'canvos-unavailable': 'The CanvOS repository or tag cannot be checked out',
  'input-unavailable': 'An input of the build is no longer stored',
  'secret-unavailable': 'A secret of the build cannot be had',
  'insufficient-resources': 'The worker cannot run the build',
  'engine-unavailable': 'The build engine cannot be started',
  'worker-lost': 'The worker was lost too many times while it ran the build',
  internal: 'The builder failed unexpectedly',
} as const satisfies Record<string, string>

export type FailureCode = keyof typeof failures

/** Why a build ended without success, in the shape of a problem. */
export const BuildFailure = Type.Object(
  {
    type: Type.String({ format: 'uri', examples: ['urn:edgesmith:problem:target-failed'] }),
    title: Type.String(),
    detail: Type.String({ description: 'What happened and what to do about it.' }),
    failingTarget: Type.Optional(
      Type.String({ description: 'The Earthly target that failed.', examples: ['+validate-user-data'] }),
    ),
    exitCode: Type.Optional(Type.Integer({ description: 'Exit code of the Earthly client.' })),
    lastLines: Type.Array(Type.String(), { description: 'The last lines of the log.' }),
  },
  { title: 'BuildFailure', additionalProperties: false },
)

/** Where a running build is. */
export const BuildProgress = Type.Object(
  {
    target: Type.Optional(
      Type.String({ description: 'The Earthly target that last reported.', examples: ['+build-iso'] }),
    ),
    targetsSeen: Type.Integer({ minimum: 0, description: 'How many targets have reported so far.' }),
    steps: Type.Integer({ minimum: 0, description: 'How many Earthfile commands have started so far.' }),
    cachedSteps: Type.Integer({ minimum: 0, description: 'How many of them were answered from the cache.' }),
  },
  { title: 'BuildProgress', additionalProperties: false },
)

/** That the inputs of a build are in its ISO image, read back from the image itself. */
export const BuildProof = Type.Object(
  {
    artifact: FileName,
    inputs: Type.Array(
      Type.Object(
        {
          pointer: Type.String({
            description: 'JSON Pointer to the input within the spec.',
            examples: ['/inputs/userData'],
          }),
          paths: Type.Array(Type.String(), {
            description: 'Where in the image it is; several where CanvOS splits a content bundle.',
            examples: [['/files-iso/config.yaml']],
          }),
          sha256: Sha256Hex,
          size: Type.Integer({ minimum: 0, description: 'Size in bytes.' }),
        },
        { additionalProperties: false },
      ),
      { description: 'Inputs whose bytes in the image are those that were given.' },
    ),
    unproved: Type.Array(
      Type.Object({ pointer: Type.String(), reason: Type.String() }, { additionalProperties: false }),
      { description: 'Inputs that are no files of the image, and why.' },
    ),
  },
  { title: 'BuildProof', additionalProperties: false },
)

const example = {
  id: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
  tenant: 'acme',
  project: 'stores',
  state: 'running',
  target: 'iso',
  canvos: { tag: 'v4.9.36', commit: '1b2c3d4e5f60718293a4b5c6d7e8f90123456789' },
  spec: {
    canvos: { tag: 'v4.9.36' },
    target: 'iso',
    arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04', ISO_NAME: 'store-0042' },
    labels: { site: 'store-0042' },
    timeoutSeconds: 7200,
  },
  arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04', ISO_NAME: 'store-0042' },
  labels: { site: 'store-0042' },
  attempt: 1,
  createdAt: '2026-03-14T09:26:53.589Z',
  startedAt: '2026-03-14T09:26:54.020Z',
  progress: { target: '+build-iso', targetsSeen: 7, steps: 42, cachedSteps: 12 },
  artifacts: [],
  diagnostics: [],
}

/** The record of a build. */
export const Build = Type.Object(
  {
    id: BuildId,
    tenant: TenantId,
    project: ProjectId,
    state: BuildState,
    target: BuildTarget,
    canvos: Type.Object(
      {
        tag: CanvosTag,
        commit: Type.String({ pattern: '^[0-9a-f]{40}$' }),
      },
      { additionalProperties: false },
    ),
    spec: BuildSpec,
    arguments: Type.Record(Type.String(), Type.String(), {
      description:
        'The arguments the build gets: those of the `argFile` and of the spec, merged, and those the service adds. Passwords in them are masked.',
    }),
    sealedArguments: Type.Optional(
      Type.Record(Type.String(), Sealed, {
        description:
          'The values of arguments that are masked above, for whoever has the keys of the service.',
      }),
    ),
    labels: Labels,
    attempt: Type.Integer({
      minimum: 1,
      description: 'How many times the build was asked to run: 1, and 1 more by each retry.',
    }),
    createdAt: Timestamp,
    startedAt: Type.Optional(Timestamp),
    endedAt: Type.Optional(Timestamp),
    progress: Type.Optional(BuildProgress),
    road: Type.Optional(BuildRoad),
    key: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        description:
          'Identity of the ISO: a hash of everything that changes its bytes. Builds with equal keys have equal ISOs.',
      }),
    ),
    baseBuildId: Type.Optional(
      Type.String({
        format: 'uuid',
        description: 'The build that ran Earthly for this one, where it was not this one itself.',
      }),
    ),
    images: Type.Optional(
      Type.Array(ResolvedImage, { description: 'The images that the build pulled, as they were resolved.' }),
    ),
    engine: Type.Optional(BuildEngine),
    fleet: Type.Optional(
      Type.Object(
        { id: Type.String({ format: 'uuid' }), site: Type.String() },
        { additionalProperties: false, description: 'The fleet, and the site of it, that the build is for.' },
      ),
    ),
    artifacts: Type.Array(Artifact),
    diagnostics: Type.Array(Diagnostic, { description: 'Warnings and hints about the inputs.' }),
    proof: Type.Optional(BuildProof),
    failure: Type.Optional(BuildFailure),
  },
  { title: 'Build', additionalProperties: false, description: 'The record of a build.', examples: [example] },
)

/** The record of a build as it is answered. */
export const BuildAnswer = Type.Omit(Build, ['sealedArguments'], {
  title: 'Build',
  additionalProperties: false,
  description: 'The record of a build.',
  examples: [example],
})

/** Query of `GET /v1/builds`. */
export const ListBuildsQuery = Type.Object(
  {
    state: Type.Optional(BuildState),
    target: Type.Optional(BuildTarget),
    label: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?=[^\\u0000-\\u001f\\u007f]{0,256}$',
        description: 'Only builds with this label, `key=value`.',
        examples: ['site=store-0042'],
      }),
    ),
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Builds in a page.' }),
    cursor: Type.Optional(Cursor),
  },
  { additionalProperties: false },
)

/** One page of builds, newest first. */
export const BuildPage = Type.Object(
  {
    items: Type.Array(BuildAnswer),
    nextCursor: Type.Optional(NextCursor),
  },
  { title: 'BuildPage', additionalProperties: false, examples: [{ items: [example] }] },
)

/** Answer of `GET /v1/builds/{id}/artifacts`. */
export const ArtifactList = Type.Object(
  { items: Type.Array(Artifact) },
  { title: 'ArtifactList', additionalProperties: false, examples: [{ items: [artifactExample] }] },
)

export type Build = Static<typeof Build>
export type BuildRoad = Static<typeof BuildRoad>
export type BuildEngine = Static<typeof BuildEngine>
export type ResolvedImage = Static<typeof ResolvedImage>
export type BuildState = Static<typeof BuildState>
export type BuildProof = Static<typeof BuildProof>
export type BuildFailure = Static<typeof BuildFailure>
export type BuildProgress = Static<typeof BuildProgress>
export type BuildPage = Static<typeof BuildPage>
export type ListBuildsQuery = Static<typeof ListBuildsQuery>
