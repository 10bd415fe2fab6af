import { Type } from 'typebox'

/** Base64 (RFC 4648) of as many bytes as a digest has; what its last digit has no room for is zero. */
const base64 = {
  sha1: '[A-Za-z0-9+/]{26}[AEIMQUYcgkosw048]=',
  sha256: '[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=',
  sha512: '[A-Za-z0-9+/]{85}[AQgw]==',
} as const

const verified = `sha-256=:${base64.sha256}:|sha-512=:${base64.sha512}:`
const anyMember = '[a-z*][a-z0-9_.*-]*=:(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?:'
const separator = '[ \\t]*,[ \\t]*'

/**
 * A `Content-Digest` or `Repr-Digest` header (RFC 9530): a dictionary of byte sequences, of which one at least
 * is by an algorithm that is verified.
 */
export const DigestHeader = (description: string) =>
  Type.String({
    pattern: `^(?:${anyMember}${separator})*(?:${verified})(?:${separator}${anyMember})*$`,
    description: `${description} (RFC 9530), \`sha-256=:<base64>:\` or \`sha-512=:<base64>:\`; verified.`,
    examples: ['sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:'],
  })

/** An `Upload-Checksum` header (tus 1.0, extension checksum). */
export const UploadChecksum = Type.String({
  pattern: `^(?:sha1 ${base64.sha1}|sha256 ${base64.sha256}|sha512 ${base64.sha512})$`,
  description: 'Digest of this body: `sha1`, `sha256` or `sha512`, a space, and the digest in base64.',
  examples: ['sha256 n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg='],
})
