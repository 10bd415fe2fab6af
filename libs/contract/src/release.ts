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

export type CanvosRelease = Static<typeof CanvosRelease>
export type CanvosReleases = Static<typeof CanvosReleases>
