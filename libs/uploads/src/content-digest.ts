import { ProblemError } from '@edgesmith/contract/problem'
import { ParseError, parseDictionary } from 'structured-headers'
import type { Dictionary } from 'structured-headers'

/** A digest that content is expected to have. */
export type ContentDigest = { readonly algorithm: 'sha-256' | 'sha-512'; readonly value: Buffer }

/** The digest sizes in bytes of the algorithms that are verified (RFC 9530, section 5). */
const algorithms = { 'sha-256': 32, 'sha-512': 64 } as const

/**
 * Reads a `Content-Digest` or `Repr-Digest` header (RFC 9530): `sha-256=:<base64>:`, `sha-512`, or
 * both. Digests by other algorithms are left out, as that document allows, but one has to be there
 * that can be verified.
 * @throws ProblemError `malformed-request` when it is not such a header
 */
export function parseDigestHeader(name: string, header: string): ContentDigest[] {
  const digests: ContentDigest[] = []
  for (const [algorithm, [value]] of parseHeader(name, header)) {
    if (algorithm !== 'sha-256' && algorithm !== 'sha-512') continue
    if (!(value instanceof ArrayBuffer) || value.byteLength !== algorithms[algorithm]) {
      throw malformed(name, `${algorithm} is not ${algorithms[algorithm]} bytes in base64 between colons`)
    }
    digests.push({ algorithm, value: Buffer.from(value) })
  }
  if (digests.length === 0) throw malformed(name, 'it names neither sha-256 nor sha-512')
  return digests
}

function parseHeader(name: string, header: string): Dictionary {
  try {
    return parseDictionary(header)
  } catch (error) {
    if (error instanceof ParseError) throw malformed(name, error.message.replace(/\.$/, ''), error)
    throw error
  }
}

function malformed(name: string, reason: string, cause?: unknown): ProblemError {
  return new ProblemError(
    'malformed-request',
    `The header ${name} is not as RFC 9530 has it (${reason}). Send for example ${name}: sha-256=:<base64 of the digest>:`,
    { cause },
  )
}
