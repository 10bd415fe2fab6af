import { Type, type Static } from 'typebox'
import { Timestamp } from './identifiers.ts'

/** A CanvOS git tag. Release candidates carry a suffix, `-rc.N`. */
export const CanvosTag = Type.String({
  pattern: '^v[0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.]+)?$',
  maxLength: 64,
  description: 'A tag of the CanvOS repository.',
  examples: ['v4.9.36'],
})

/** One CanvOS tag that can be built. */
export const CanvosRelease = Type.Object(
  {
    tag: CanvosTag,
    commit: Type.String({ pattern: '^[0-9a-f]{40}$', description: 'The commit the tag names.' }),
    committedAt: Timestamp,
    prerelease: Type.Boolean({ description: 'True for release candidates and other suffixed tags.' }),
  },
  { title: 'CanvosRelease', additionalProperties: false },
)

/** Answer of `GET /v1/canvos/releases`, newest version first. */
export const CanvosReleases = Type.Object(
  {
    repository: Type.String({ description: 'Where the tags come from.' }),
    latest: Type.Optional(CanvosTag),
    items: Type.Array(CanvosRelease),
  },
  {
    title: 'CanvosReleases',
    additionalProperties: false,
    examples: [
      {
        repository: 'https://github.com/spectrocloud/CanvOS.git',
        latest: 'v4.9.36',
        items: [
          {
            tag: 'v4.9.36',
            commit: '1b2c3d4e5f60718293a4b5c6d7e8f90123456789',
            committedAt: '2026-03-01T08:00:00.000Z',
            prerelease: false,
          },
        ],
      },
    ],
  },
)

/** One argument that a tag's builds take. */
export const ReleaseArgument = Type.Object(
  {
    name: Type.String({ examples: ['OS_VERSION'] }),
    values: Type.Optional(
      Type.String({ description: 'What it takes, in words; left out where CanvOS alone knows.' }),
    ),
    description: Type.Optional(Type.String()),
    default: Type.Optional(
      Type.String({ description: 'The default as the Earthfile writes it; may refer to other arguments.' }),
    ),
    required: Type.Boolean({ description: 'True when an installer ISO cannot be built without it.' }),
    advanced: Type.Boolean({
      description:
        "True when the tag's Earthfile declares it and CanvOS's documentation does not mention it.",
    }),
  },
  { title: 'ReleaseArgument', additionalProperties: false },
)

/** Answer of `GET /v1/canvos/releases/{tag}/arguments`. */
export const ReleaseArguments = Type.Object(
  { tag: CanvosTag, items: Type.Array(ReleaseArgument) },
  {
    title: 'ReleaseArguments',
    additionalProperties: false,
    examples: [
      {
        tag: 'v4.9.36',
        items: [
          {
            name: 'ARCH',
            values: 'amd64 or arm64',
            description: 'Architecture of the hosts.',
            required: true,
            advanced: false,
          },
        ],
      },
    ],
  },
)

/** Answer of `GET /v1/canvos/releases/{tag}/kubernetes-versions` (CanvOS `k8s_version.json`). */
export const ReleaseKubernetesVersions = Type.Object(
  {
    tag: CanvosTag,
    distributions: Type.Record(Type.String(), Type.Array(Type.String()), {
      description: 'Versions by Kubernetes distribution, in the order CanvOS lists them.',
    }),
  },
  {
    title: 'ReleaseKubernetesVersions',
    additionalProperties: false,
    examples: [{ tag: 'v4.9.36', distributions: { k3s: ['1.32.8', '1.33.4'], rke2: ['1.33.4'] } }],
  },
)

export type ReleaseArguments = Static<typeof ReleaseArguments>
export type ReleaseKubernetesVersions = Static<typeof ReleaseKubernetesVersions>
export type CanvosRelease = Static<typeof CanvosRelease>
export type CanvosReleases = Static<typeof CanvosReleases>
