import { Type, type Static } from 'typebox'
import { ContentId, FileName } from './identifiers.ts'
import { CanvosTag } from './release.ts'
import { BuildSecrets } from './secret.ts'

/** What to build: each names a target of CanvOS's Earthfile, see `earthlyTarget`. */
export const BuildTarget = Type.Enum(['iso', 'provider-images', 'all-images'], {
  description:
    '`iso` builds the Edge installer ISO (`+iso`), `provider-images` builds and pushes provider images (`+build-provider-images`), `all-images` does both (`+build-all-images`).',
})

/** The targets of CanvOS's Earthfile behind each `BuildTarget` (CanvOS `Earthfile`). */
export const earthlyTarget = {
  iso: '+iso',
  'provider-images': '+build-provider-images',
  'all-images': '+build-all-images',
} as const satisfies Record<Static<typeof BuildTarget>, string>

/** A reference to an uploaded file. */
export const InputFile = Type.Object(
  {
    upload: ContentId,
    fileName: Type.Optional(FileName),
  },
  { title: 'InputFile', additionalProperties: false, description: 'A reference to an uploaded file.' },
)

const severalFiles = Type.Optional(Type.Array(InputFile, { minItems: 1, maxItems: 100 }))

/** The files a build can take, by role (CanvOS documentation, "Build Installer ISO"; `docs/inputs.md`). */
export const BuildInputs = Type.Object(
  {
    userData: Type.Optional(InputFile),
    argFile: Type.Optional(InputFile),
    contentBundles: severalFiles,
    contentBundleSignatures: severalFiles,
    clusterDefinition: Type.Optional(InputFile),
    clusterDefinitionSignature: Type.Optional(InputFile),
    publicKey: Type.Optional(InputFile),
    edgeCustomConfig: Type.Optional(InputFile),
    certs: severalFiles,
    localUi: Type.Optional(InputFile),
    secureBoot: Type.Optional(InputFile),
    overlay: Type.Optional(InputFile),
  },
  { title: 'BuildInputs', additionalProperties: false },
)

/** Labels to find builds by. */
export const Labels = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$' }),
  Type.String({ maxLength: 256, pattern: '^[^\\u0000-\\u001f\\u007f]*$' }),
  {
    additionalProperties: false,
    maxProperties: 32,
    description: 'Labels to find builds by.',
    examples: [{ site: 'store-0042' }],
  },
)

/** What a client asks for. */
export const BuildSpec = Type.Object(
  {
    canvos: Type.Optional(
      Type.Object(
        { tag: Type.Optional(CanvosTag) },
        {
          additionalProperties: false,
          description: 'The CanvOS tag to build; the newest release when left out.',
        },
      ),
    ),
    target: Type.Optional(BuildTarget),
    arguments: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' }),
        Type.Union([Type.String({ maxLength: 8192 }), Type.Boolean(), Type.Number()]),
        {
          additionalProperties: false,
          maxProperties: 256,
          description: 'CanvOS build arguments. They take precedence over the same keys of an `argFile`.',
          examples: [{ ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }],
        },
      ),
    ),
    inputs: Type.Optional(BuildInputs),
    secrets: Type.Optional(BuildSecrets),
    labels: Type.Optional(Labels),
    cache: Type.Optional(
      Type.Enum(['use', 'bypass'], {
        description:
          '`use`, the default, answers from what earlier builds left where that is the same; `bypass` runs Earthly in any case.',
      }),
    ),
    timeoutSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 86400,
        description: 'Time limit of the build once it runs, in seconds.',
      }),
    ),
  },
  {
    title: 'BuildSpec',
    additionalProperties: false,
    description: 'What to build.',
    examples: [
      {
        canvos: { tag: 'v4.9.36' },
        target: 'iso',
        arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04', ISO_NAME: 'store-0042' },
        inputs: {
          userData: { upload: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' },
        },
        labels: { site: 'store-0042' },
      },
    ],
  },
)

export type BuildTarget = Static<typeof BuildTarget>
export type InputFile = Static<typeof InputFile>
export type BuildInputs = Static<typeof BuildInputs>
export type BuildSpec = Static<typeof BuildSpec>
export type Labels = Static<typeof Labels>

/** Roles that take one file. */
export const singleRoles = [
  'userData',
  'argFile',
  'clusterDefinition',
  'clusterDefinitionSignature',
  'publicKey',
  'edgeCustomConfig',
  'localUi',
  'secureBoot',
  'overlay',
] as const

/** Roles that take several files (repeatable form parts), each with its field in the spec. */
export const repeatableRoles = {
  contentBundle: 'contentBundles',
  contentBundleSignature: 'contentBundleSignatures',
  cert: 'certs',
} as const

export type RepeatableRole = keyof typeof repeatableRoles
export type InputRole = (typeof singleRoles)[number] | RepeatableRole

const repeatableRoleNames = Object.keys(repeatableRoles) as RepeatableRole[]

/** Every role of an input. */
export const inputRoles: readonly InputRole[] = [...singleRoles, ...repeatableRoleNames]

/** One input of a spec with its role and the JSON Pointer to it. */
export type LocatedInput = { role: InputRole; pointer: string; file: InputFile }

/** Lists the inputs of a spec, each with its role and the JSON Pointer to it within the spec. */
export function listInputs(inputs: BuildInputs | undefined): LocatedInput[] {
  const located: LocatedInput[] = []
  for (const role of singleRoles) {
    const file = inputs?.[role]
    if (file !== undefined) located.push({ role, pointer: `/inputs/${role}`, file })
  }
  for (const role of repeatableRoleNames) {
    const field = repeatableRoles[role]
    for (const [index, file] of (inputs?.[field] ?? []).entries()) {
      located.push({ role, pointer: `/inputs/${field}/${index}`, file })
    }
  }
  return located
}
