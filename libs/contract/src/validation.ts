import { Type, type Static } from 'typebox'
import { BuildSpec, inputRoles } from './build-spec.ts'
import { Diagnostic } from './diagnostic.ts'
import { ContentId } from './identifiers.ts'
import { ProjectRef } from './project.ts'
import { CanvosTag } from './release.ts'
import { BuildTarget } from './build-spec.ts'

/** What a cluster definition says of itself. */
export const ClusterDefinition = Type.Object(
  {
    profiles: Type.Array(
      Type.Object(
        { name: Type.String(), version: Type.Optional(Type.String()) },
        { additionalProperties: false },
      ),
      { description: 'The cluster profiles found in it.' },
    ),
  },
  {
    title: 'ClusterDefinition',
    additionalProperties: false,
    description: 'What the cluster definition of the inputs holds.',
    examples: [{ profiles: [{ name: 'edge-infra', version: '1.2.0' }] }],
  },
)

/** Answer of `POST /v1/validations`. */
export const ValidationResult = Type.Object(
  {
    valid: Type.Boolean({
      description: 'True when no diagnostic is an error: `POST /v1/builds` would accept the same.',
    }),
    diagnostics: Type.Array(Diagnostic),
    canvos: Type.Optional(
      Type.Object(
        { tag: CanvosTag, commit: Type.String({ pattern: '^[0-9a-f]{40}$' }) },
        { additionalProperties: false, description: 'The CanvOS release the inputs were checked against.' },
      ),
    ),
    target: BuildTarget,
    arguments: Type.Record(Type.String(), Type.String(), {
      description: 'The arguments a build would get.',
    }),
    clusterDefinition: Type.Optional(ClusterDefinition),
  },
  {
    title: 'ValidationResult',
    additionalProperties: false,
    examples: [
      {
        valid: true,
        diagnostics: [],
        canvos: { tag: 'v4.9.36', commit: '1b2c3d4e5f60718293a4b5c6d7e8f90123456789' },
        target: 'iso',
        arguments: { ARCH: 'amd64' },
        clusterDefinition: { profiles: [{ name: 'edge-infra', version: '1.2.0' }] },
      },
    ],
  },
)

/** Where the validation service finds the bytes of an input. Inside the service only. */
export const StoredInput = Type.Object(
  {
    role: Type.Enum([...inputRoles]),
    pointer: Type.String(),
    objectKey: Type.String(),
    size: Type.Integer({ minimum: 0 }),
    contentId: ContentId,
    kind: Type.String(),
    fileName: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

/** What the gateway asks the validation service. Inside the service only. */
export const ValidationRequest = Type.Object(
  {
    project: Type.Intersect([ProjectRef], { description: 'Whose store the inputs are in.' }),
    spec: BuildSpec,
    inputs: Type.Array(StoredInput),
    userData: Type.Optional(
      Type.String({
        contentEncoding: 'base64',
        description: 'Bytes of the input `userData`, where whoever asks has them at hand.',
      }),
    ),
  },
  { title: 'ValidationRequest', additionalProperties: false },
)

export type ValidationResult = Static<typeof ValidationResult>
export type ClusterDefinition = Static<typeof ClusterDefinition>
export type StoredInput = Static<typeof StoredInput>
export type ValidationRequest = Static<typeof ValidationRequest>
