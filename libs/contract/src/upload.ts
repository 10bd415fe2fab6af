import { Type, type Static } from 'typebox'
import { ContentId, FileName, Timestamp } from './identifiers.ts'

/** What an upload's first bytes say it is; its role in a build is said by the build spec. */
export const UploadKind = Type.Enum(
  ['zstd', 'gzip', 'tar', 'iso9660', 'pem', 'cloud-config', 'text', 'binary'],
  {
    description:
      'What the content is, told by its own bytes: Zstandard, gzip, tar, ISO 9660, PEM, cloud-config, other text, or none of these.',
  },
)

/** One stored file. */
export const Upload = Type.Object(
  {
    id: ContentId,
    kind: UploadKind,
    size: Type.Integer({ minimum: 1, description: 'Size in bytes.' }),
    fileName: Type.Optional(FileName),
    createdAt: Timestamp,
  },
  {
    title: 'Upload',
    additionalProperties: false,
    description: 'One stored file, named by the digest of its content.',
    examples: [
      {
        id: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        kind: 'zstd',
        size: 1048576,
        fileName: 'core.tar.zst',
        createdAt: '2026-03-14T09:26:53.589Z',
      },
    ],
  },
)

export type Upload = Static<typeof Upload>
export type UploadKind = Static<typeof UploadKind>
