import { Type, type Static } from 'typebox'
import { BuildSpec } from './build-spec.ts'
import { Diagnostic } from './diagnostic.ts'
import { CanvosTag } from './release.ts'
import { BuildTarget } from './build-spec.ts'

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
      },
    ],
  },
)

/** Where the validation service finds the bytes of an input. Inside the service only. */
export const StoredInput = Type.Object(
  {
    role: Type.Enum([
      'userData',
      'argFile',
      'clusterDefinition',
      'edgeCustomConfig',
      'localUi',
      'contentBundle',
      'cert',
    ]),
    pointer: Type.String(),
    objectKey: Type.String(),
    size: Type.Integer({ minimum: 0 }),
    kind: Type.String(),
    fileName: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

/** What the gateway asks the validation service. Inside the service only. */
export const ValidationRequest = Type.Object(
  { spec: BuildSpec, inputs: Type.Array(StoredInput) },
  { title: 'ValidationRequest', additionalProperties: false },
)

export type ValidationResult = Static<typeof ValidationResult>
export type StoredInput = Static<typeof StoredInput>
export type ValidationRequest = Static<typeof ValidationRequest>
