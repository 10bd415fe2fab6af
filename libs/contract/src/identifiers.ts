import { Type, type Static } from 'typebox'

/** Identifier of a build: a UUID version 7, so identifiers sort by the time of creation. */
export const BuildId = Type.String({
  format: 'uuid',
  description: 'Identifier of a build (UUID version 7, sorts by creation time).',
  examples: ['01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'],
})

/** Identifier of an artifact: a UUID version 7. */
export const ArtifactId = Type.String({
  format: 'uuid',
  description: 'Identifier of an artifact (UUID version 7).',
  examples: ['01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22'],
})

/** Where a page of a list goes on: `nextCursor` of the page before, the identifier of its last item. */
export const Cursor = Type.String({ format: 'uuid', description: '`nextCursor` of the page before.' })

/** `Cursor` as an answer has it. */
export const NextCursor = Type.String({
  format: 'uuid',
  description: 'Cursor of the next page; left out on the last.',
})

/** Identifier of uploaded content: the digest of its bytes, so that equal content has one name. */
export const ContentId = Type.String({
  pattern: '^sha256:[0-9a-f]{64}$',
  description: 'Identifier of uploaded content: `sha256:` and the lowercase hex digest of its bytes.',
  examples: ['sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
})

/** A SHA-256 digest as 64 lowercase hex digits. */
export const Sha256Hex = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of the bytes, lowercase hex.',
  examples: ['9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
})

/** An instant, RFC 3339 in UTC with milliseconds. */
export const Timestamp = Type.String({
  format: 'date-time',
  description: 'RFC 3339 timestamp in UTC.',
  examples: ['2026-03-14T09:26:53.589Z'],
})

/**
 * A plain file name: no directory, no control characters, none of the characters that
 * shells, tar or Earthly's `COPY` patterns give a meaning.
 */
export const fileNamePattern = /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}$/

/** A file name that fits `fileNamePattern`. */
export const FileName = Type.String({
  pattern: fileNamePattern.source,
  description: 'A plain file name: letters, digits, `.`, `_`, `+` and `-`; no directory.',
  examples: ['core-spectro-content.tar.zst'],
})

export type BuildId = Static<typeof BuildId>
export type ArtifactId = Static<typeof ArtifactId>
export type ContentId = Static<typeof ContentId>
export type Timestamp = Static<typeof Timestamp>
export type FileName = Static<typeof FileName>
