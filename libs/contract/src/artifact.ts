import { Type, type Static } from 'typebox'
import { ArtifactId, BuildId, FileName, Timestamp } from './identifiers.ts'

/** An artifact as examples show it. */
export const artifactExample = {
  id: '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22',
  buildId: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
  name: 'palette-edge-installer.iso',
  size: 1073741824,
  sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  etag: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  mediaType: 'application/x-iso9660-image',
  createdAt: '2026-03-14T09:41:07.114Z',
}

/** One file that a build left in CanvOS's `build/` directory. */
export const Artifact = Type.Object(
  {
    id: ArtifactId,
    buildId: BuildId,
    name: FileName,
    size: Type.Integer({ minimum: 0, description: 'Size in bytes.' }),
    sha256: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        description:
          'SHA-256 of the bytes, lowercase hex. Of an ISO that was stamped or composed it is computed when it is first asked for, with `GET /v1/artifacts/{id}/checksum`; until then it is left out.',
      }),
    ),
    etag: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'Strong entity tag of the bytes: it never names two different contents.',
    }),
    mediaType: Type.String({ examples: ['application/x-iso9660-image'] }),
    createdAt: Timestamp,
  },
  {
    title: 'Artifact',
    additionalProperties: false,
    description: 'One file that a build made.',
    examples: [artifactExample],
  },
)

/** Identifier of a signed URL, by which it is revoked. */
export const DownloadUrlId = Type.String({
  format: 'uuid',
  description: 'Identifier of a signed URL (UUID version 7).',
  examples: ['01939c70-4c1b-7d9a-b8a5-6d2f0e7c5a10'],
})

/** The most downloads that a limited URL can allow: each leaves a mark in the store. */
export const maximumDownloads = 1000

/** Body of `POST /v1/artifacts/{id}/download-url`. */
export const DownloadUrlRequest = Type.Object(
  {
    ttlSeconds: Type.Integer({
      minimum: 1,
      maximum: 604800,
      default: 3600,
      description: 'How long the URL is valid, in seconds; a week at the most.',
    }),
    method: Type.Enum(['GET', 'HEAD'], {
      default: 'GET',
      description: '`GET` allows GET and HEAD; `HEAD` allows HEAD alone.',
    }),
    maxDownloads: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: maximumDownloads,
        description:
          'How many GET requests the URL answers with bytes; 1 makes a one-time URL. Every request for a range counts, also the one that resumes a download that broke off. HEAD, 304 and 416 do not count. Without it there is no limit.',
      }),
    ),
    clientAddress: Type.Optional(
      Type.String({
        pattern: '^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$',
        description:
          'Only clients with this IPv4 or IPv6 address, or in this network (CIDR), may use the URL.',
        examples: ['203.0.113.7', '2001:db8::/48'],
      }),
    ),
  },
  {
    title: 'DownloadUrlRequest',
    additionalProperties: false,
    examples: [
      { ttlSeconds: 3600, method: 'GET' },
      { ttlSeconds: 600, method: 'GET', maxDownloads: 1, clientAddress: '203.0.113.0/24' },
    ],
  },
)

/** A URL that needs no credentials until it expires. */
export const DownloadUrl = Type.Object(
  {
    id: DownloadUrlId,
    url: Type.String({ format: 'uri', description: 'Signed URL; takes GET and HEAD, and Range.' }),
    expiresAt: Timestamp,
  },
  {
    title: 'DownloadUrl',
    additionalProperties: false,
    examples: [
      {
        id: '01939c70-4c1b-7d9a-b8a5-6d2f0e7c5a10',
        url: 'http://127.0.0.1:8083/v1/downloads/01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22/palette-edge-installer.iso?project=acme%2Fstores&expires=1773484013&grant=01939c70-4c1b-7d9a-b8a5-6d2f0e7c5a10&signature=kq0ZBbJ9d3mS8yQ1w6vTn4cXh2rUeLfGpA7oIiYzDsE',
        expiresAt: '2026-03-14T10:26:53.000Z',
      },
    ],
  },
)

export type Artifact = Static<typeof Artifact>
export type DownloadUrlRequest = Static<typeof DownloadUrlRequest>
export type DownloadUrl = Static<typeof DownloadUrl>
export type DownloadUrlId = Static<typeof DownloadUrlId>
