import { Type, type Static } from 'typebox'
import { Sha256Hex } from './identifiers.ts'

/** One file, directory or symbolic link of an ISO image. */
export const ImageEntry = Type.Object(
  {
    path: Type.String({ description: 'Absolute path within the image.', examples: ['/rootfs.squashfs'] }),
    type: Type.Enum(['file', 'directory', 'symlink']),
    size: Type.Integer({ minimum: 0, description: 'Size of a file in bytes; 0 of anything else.' }),
    sha256: Type.Optional(Sha256Hex),
    target: Type.Optional(Type.String({ description: 'Where a symbolic link leads.' })),
  },
  { title: 'ImageEntry', additionalProperties: false },
)

/** Answer of `GET /v1/artifacts/{id}/contents`. */
export const ImageContents = Type.Object(
  { items: Type.Array(ImageEntry) },
  {
    title: 'ImageContents',
    additionalProperties: false,
    description: 'The tree of an ISO image, each directory before its content.',
    examples: [
      {
        items: [
          { path: '/files-iso', type: 'directory', size: 0 },
          {
            path: '/files-iso/config.yaml',
            type: 'file',
            size: 1893,
            sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
          },
        ],
      },
    ],
  },
)

/** Query of `GET /v1/artifacts/{id}/contents`. */
export const ImageContentsQuery = Type.Object(
  {
    digests: Type.Boolean({
      default: true,
      description:
        'Whether to tell the SHA-256 of each file. Computing them reads the whole image once; they are kept.',
    }),
  },
  { additionalProperties: false },
)

/** What `POST /v1/artifacts/{id}/verify` checks, in this order. */
export const verificationChecks = [
  'objects',
  'volume-descriptors',
  'boot-catalog',
  'partition-tables',
  'directory-trees',
  'extent',
  'squashfs',
  'inputs',
  'checksum',
] as const

/** The outcome of one check of an image. */
export const VerificationCheck = Type.Object(
  {
    name: Type.Enum([...verificationChecks], {
      description:
        '`objects`: the store has every byte. `volume-descriptors`, `boot-catalog`, `partition-tables` (MBR and GPT with their checksums), `directory-trees`: each is as its standard says, and they agree. `extent`: the file reaches as far as all of them say and no further. `squashfs`: the superblock of each squashfs. `inputs`: the inputs of the build are in the image as they were given. `checksum`: the SHA-256 of all bytes is the recorded one.',
    }),
    ok: Type.Boolean({ description: 'False when a fault was found.' }),
    skipped: Type.Boolean({ description: 'True when there was nothing to check against.' }),
    detail: Type.String({ description: 'What was found.' }),
  },
  { title: 'VerificationCheck', additionalProperties: false },
)

/** Answer of `POST /v1/artifacts/{id}/verify`. */
export const VerificationReport = Type.Object(
  {
    ok: Type.Boolean({ description: 'Whether no check found a fault.' }),
    checks: Type.Array(VerificationCheck),
    sha256: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        description: 'SHA-256 of the bytes as they are now; left out when some are missing.',
      }),
    ),
  },
  {
    title: 'VerificationReport',
    additionalProperties: false,
    description: 'What was found when an ISO image was read again in full.',
    examples: [
      {
        ok: true,
        checks: [
          { name: 'objects', ok: true, skipped: false, detail: 'The store has all 1073741824 bytes.' },
          {
            name: 'checksum',
            ok: true,
            skipped: false,
            detail: 'The bytes have the SHA-256 that was recorded.',
          },
        ],
        sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      },
    ],
  },
)

export type ImageEntry = Static<typeof ImageEntry>
export type ImageContents = Static<typeof ImageContents>
export type VerificationCheck = Static<typeof VerificationCheck>
export type VerificationReport = Static<typeof VerificationReport>
