import { Type, type Static } from 'typebox'
import { Timestamp } from './identifiers.ts'

/** Name of a secret within its project. */
export const SecretName = Type.String({
  pattern: '^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$',
  description: 'Name of a secret: lowercase letters, digits and `._-`, at most 63.',
  examples: ['harbor-robot'],
})

/**
 * Values are long enough to be masked wherever they are printed, and have no character that the programs they are
 * handed to cannot take.
 */
const value = (description: string) =>
  Type.String({ minLength: 8, maxLength: 4096, pattern: '^[!-~]+$', writeOnly: true, description })

/** `host` or `host:port` of an image registry, as image references begin with it. */
export const RegistryHost = Type.String({
  pattern: '^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?$',
  description:
    'Registry, `host` or `host:port`, as image references begin with it; `docker.io` is Docker Hub.',
  examples: ['harbor.example.com'],
})

const PaletteApiKey = Type.Object(
  { kind: Type.Literal('palette-api-key'), apiKey: value('API key of Palette.') },
  { title: 'PaletteApiKey', additionalProperties: false },
)

const RegistryCredentials = Type.Object(
  {
    kind: Type.Literal('registry'),
    registry: RegistryHost,
    username: Type.String({ minLength: 1, maxLength: 256, pattern: '^[ -9;-~]+$' }),
    password: value('Password or token of the user.'),
  },
  { title: 'RegistryCredentials', additionalProperties: false },
)

const UbuntuProToken = Type.Object(
  { kind: Type.Literal('ubuntu-pro'), token: value('Token of an Ubuntu Pro subscription.') },
  { title: 'UbuntuProToken', additionalProperties: false },
)

const OpaqueSecret = Type.Object(
  {
    kind: Type.Literal('opaque'),
    value: Type.String({
      minLength: 8,
      maxLength: 65_536,
      pattern: '^[^\\u0000]*$',
      writeOnly: true,
      description: 'Any text.',
    }),
  },
  { title: 'OpaqueSecret', additionalProperties: false },
)

/** What a secret holds: body of `PUT /v1/secrets/{name}`. No answer has it. */
export const SecretValue = Type.Union([PaletteApiKey, RegistryCredentials, UbuntuProToken, OpaqueSecret], {
  title: 'SecretValue',
  description: 'What the secret holds. It is never answered.',
  examples: [
    { kind: 'registry', registry: 'harbor.example.com', username: 'robot$edge', password: 'correct-horse' },
  ],
})

export const SecretKind = Type.Enum(['palette-api-key', 'registry', 'ubuntu-pro', 'opaque'], {
  description:
    '`palette-api-key` of Palette, `registry` credentials of an image registry, `ubuntu-pro` token of a subscription, `opaque` any text.',
})

const example = {
  name: 'harbor-robot',
  kind: 'registry',
  registry: 'harbor.example.com',
  version: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
  keyId: '5f2b7c0d9e1a4386',
  state: 'usable',
  createdAt: '2026-03-14T09:26:53.589Z',
  updatedAt: '2026-03-14T09:26:53.589Z',
}

/** What is told of a secret. */
export const Secret = Type.Object(
  {
    name: SecretName,
    kind: SecretKind,
    registry: Type.Optional(RegistryHost),
    version: Type.String({ format: 'uuid', description: 'Another one each time that the secret is set.' }),
    keyId: Type.String({
      pattern: '^[0-9a-f]{16}$',
      description: 'Which of the keys of the service it is sealed with.',
    }),
    state: Type.Enum(['usable', 'unknown-key', 'damaged'], {
      description:
        '`usable`; `unknown-key` when the service does not have the key that it is sealed with; `damaged` when what is stored is not what was sealed. Set it anew to use it again.',
    }),
    createdAt: Timestamp,
    updatedAt: Timestamp,
  },
  {
    title: 'Secret',
    additionalProperties: false,
    description: 'What is told of a secret; never what it holds.',
    examples: [example],
  },
)

/** Answer of `GET /v1/secrets`. */
export const SecretList = Type.Object(
  { items: Type.Array(Secret) },
  { title: 'SecretList', additionalProperties: false, examples: [{ items: [example] }] },
)

const Base64 = Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$' })

/**
 * A sealed text: its own key, sealed with one of the service's, and the text, sealed with that. Each is nonce,
 * ciphertext and tag.
 */
export const Sealed = Type.Object(
  {
    keyId: Type.String({ pattern: '^[0-9a-f]{16}$' }),
    wrappedKey: Base64,
    box: Base64,
  },
  { title: 'Sealed', additionalProperties: false },
)

/** Name that an Earthfile has for a secret: `RUN --secret NAME`. */
export const EarthlySecretId = Type.String({
  pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$',
  description: 'Name that the Earthfile has for the secret (`RUN --secret`).',
})

/** Names of secrets that a build uses, by what for. */
export const BuildSecrets = Type.Object(
  {
    registries: Type.Optional(
      Type.Array(SecretName, {
        minItems: 1,
        maxItems: 32,
        uniqueItems: true,
        description:
          'Secrets of kind `registry`: images are pulled from these registries, and pushed, with them.',
      }),
    ),
    ubuntuPro: Type.Optional(
      Type.String({
        ...SecretName,
        description: 'Secret of kind `ubuntu-pro`: the Earthly secret `UBUNTU_PRO_KEY` of CanvOS.',
      }),
    ),
    earthly: Type.Optional(
      Type.Record(EarthlySecretId, SecretName, {
        additionalProperties: false,
        maxProperties: 32,
        description:
          'Further secrets of the Earthfile, by the name that it has for them; of any kind but `registry`.',
      }),
    ),
  },
  {
    title: 'BuildSecrets',
    additionalProperties: false,
    description: 'Names of secrets of the project that the build uses, by what for.',
    examples: [{ registries: ['harbor-robot'], ubuntuPro: 'ubuntu-pro' }],
  },
)

export type Sealed = Static<typeof Sealed>
export type SecretValue = Static<typeof SecretValue>
export type Secret = Static<typeof Secret>
export type BuildSecrets = Static<typeof BuildSecrets>

/** The Earthly secret that CanvOS takes the Ubuntu Pro token as (its Earthfile, `RUN --secret UBUNTU_PRO_KEY`). */
export const ubuntuProSecretId = 'UBUNTU_PRO_KEY'

/** The secrets that a build hands to Earthly: the name of each by the name that the Earthfile has for it. */
export function earthlySecrets(secrets: BuildSecrets | undefined): Record<string, string> {
  return {
    ...secrets?.earthly,
    ...(secrets?.ubuntuPro === undefined ? {} : { [ubuntuProSecretId]: secrets.ubuntuPro }),
  }
}
