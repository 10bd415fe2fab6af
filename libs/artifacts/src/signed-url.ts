import { createHmac, timingSafeEqual } from 'node:crypto'
import type { DownloadUrlId } from '@edgesmith/contract/artifact'
import type { ArtifactId, FileName } from '@edgesmith/contract/identifiers'
import { projectName, type ProjectRef } from '@edgesmith/contract/project'

/** What a download URL allows, and all that its signature speaks for. */
export type DownloadGrant = {
  readonly project: ProjectRef
  readonly artifactId: ArtifactId
  readonly name: FileName
  /** `GET` allows HEAD too. */
  readonly method: 'GET' | 'HEAD'
  /** Seconds since the epoch; at that second the URL has expired. */
  readonly expires: number
  /** Names the URL's marks in the store; a URL without them can be neither revoked nor counted. */
  readonly grant?: DownloadUrlId | undefined
  /** How many downloads the URL allows. */
  readonly limit?: number | undefined
  /** Address or network of the clients that may use the URL, as `parseNetwork` writes it. */
  readonly client?: string | undefined
}

/** Set apart from every other use of the same key, and to be changed with what is signed. */
const purpose = 'edgesmith-download-v3'

/** The URL that allows what the grant says. `key` is the secret; of several the newest. */
export function signDownloadUrl(
  grant: DownloadGrant,
  /** `baseUrl`: where the artifact service is reached from outside, with or without a path. */
  { baseUrl, key }: { baseUrl: string; key: string },
): string {
  const { project, artifactId, name, method, expires } = grant
  const path = `v1/downloads/${encodeURIComponent(artifactId)}/${encodeURIComponent(name)}`
  const url = new URL(path, baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`)
  const { searchParams } = url
  searchParams.set('project', projectName(project))
  searchParams.set('expires', String(expires))
  if (method === 'HEAD') searchParams.set('method', method)
  if (grant.grant !== undefined) searchParams.set('grant', grant.grant)
  if (grant.limit !== undefined) searchParams.set('limit', String(grant.limit))
  if (grant.client !== undefined) searchParams.set('client', grant.client)
  searchParams.set('signature', sign(grant, key))
  return url.href
}

/**
 * Whether one of the keys signed the grant as it stands: the newest or, while it is being replaced, an
 * older one. Takes the same time wherever the signature differs.
 */
export function isSigned(grant: DownloadGrant, signature: string, keys: readonly string[]): boolean {
  const given = Buffer.from(signature)
  return keys
    .map((key) => {
      const expected = Buffer.from(sign(grant, key))
      // Compared as text: other text can decode to the same bytes.
      return given.length === expected.length && timingSafeEqual(given, expected)
    })
    .includes(true)
}

/** HMAC-SHA256 over an unambiguous text of the grant, as base64url. */
function sign(
  { project, method, artifactId, name, expires, grant, limit, client }: DownloadGrant,
  key: string,
): string {
  const text = JSON.stringify([
    ...[purpose, projectName(project), method, artifactId, name, expires],
    ...[grant ?? null, limit ?? null, client ?? null],
  ])
  return createHmac('sha256', key).update(text).digest('base64url')
}
