import { createHmac, timingSafeEqual } from 'node:crypto'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { ArtifactId, FileName } from '@edgesmith/contract/identifiers'

/** What a signature speaks for. `expires` is in seconds since the epoch. */
type Grant = { artifactId: ArtifactId; name: FileName; expires: number }

/** Set apart from every other use of the same key, and to be changed with what is signed. */
const purpose = 'edgesmith-download-v1'

/**
 * Makes a URL that lets whoever holds it download one artifact until it expires. It is valid for
 * whole seconds, so `expiresAt` of the answer can be up to a second before the one asked for.
 */
export function signDownloadUrl(options: {
  /** Where the artifact service is reached from outside, with or without a path. */
  baseUrl: string
  artifactId: ArtifactId
  name: FileName
  expiresAt: Date
  /** The secret; of several the newest. */
  key: string
}): DownloadUrl {
  const { baseUrl, artifactId, name, expiresAt, key } = options
  const expires = Math.floor(expiresAt.getTime() / 1000)
  const path = `v1/downloads/${encodeURIComponent(artifactId)}/${encodeURIComponent(name)}`
  const url = new URL(path, baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`)
  url.searchParams.set('expires', String(expires))
  url.searchParams.set('signature', sign({ artifactId, name, expires }, key))
  return { url: url.href, expiresAt: new Date(expires * 1000).toISOString() }
}

/**
 * Judges the parts of a download URL. `expired` is said only of a URL that was signed as it stands;
 * one that was altered is `invalid`, expired or not. At the second of its expiry a URL has expired.
 */
export function verifyDownloadUrl(options: {
  artifactId: string
  name: string
  /** Seconds since the epoch. */
  expires: number
  signature: string
  /** All secrets that may have signed it: the newest and, while they are replaced, older ones. */
  keys: readonly string[]
  now: Date
}): 'ok' | 'expired' | 'invalid' {
  const { artifactId, name, expires, signature, keys, now } = options
  const given = Buffer.from(signature)
  const isSigned = keys.some((key) => {
    const expected = Buffer.from(sign({ artifactId, name, expires }, key))
    // Compared as text: other text can decode to the same bytes.
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
  if (!isSigned) return 'invalid'
  return now.getTime() >= expires * 1000 ? 'expired' : 'ok'
}

/** HMAC-SHA256 over an unambiguous text of the grant, as base64url. */
function sign({ artifactId, name, expires }: Grant, key: string): string {
  const text = JSON.stringify([purpose, artifactId, name, expires])
  return createHmac('sha256', key).update(text).digest('base64url')
}
