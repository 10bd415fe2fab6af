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

/** An upload that is sent in several requests (tus 1.0), as `GET /v1/uploads/resumable/{id}` tells it. */
export const ResumableUpload = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'Identifier of the resumable upload.' }),
    state: Type.Enum(['receiving', 'checking', 'complete'], {
      description:
        'Whether bytes are awaited, all have come and are being checked, or the file is an upload like any other.',
    }),
    size: Type.Integer({ minimum: 1, description: 'Announced size in bytes.' }),
    offset: Type.Integer({ minimum: 0, description: 'How many bytes are stored: where to go on.' }),
    createdAt: Timestamp,
    expiresAt: Type.String({
      format: 'date-time',
      description: 'When the service forgets it (RFC 3339); a complete upload itself stays.',
    }),
    upload: Type.Optional(Upload),
  },
  {
    title: 'ResumableUpload',
    additionalProperties: false,
    description: 'An upload that is sent in several requests.',
    examples: [
      {
        id: '5d2f1c0e-6a94-4f0e-9d7e-0f3a1b2c4d5e',
        state: 'receiving',
        size: 21474836480,
        offset: 8388608,
        createdAt: '2026-03-14T09:26:53.589Z',
        expiresAt: '2026-03-15T09:26:53.589Z',
      },
    ],
  },
)

export type ResumableUpload = Static<typeof ResumableUpload>
export type Upload = Static<typeof Upload>
export type UploadKind = Static<typeof UploadKind>
