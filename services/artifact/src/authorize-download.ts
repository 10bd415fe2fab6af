import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { findArtifact, type StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { claimUse, grantState } from '@edgesmith/artifacts/grant'
import { isInNetwork } from '@edgesmith/artifacts/grant-network'
import { isSigned, type DownloadGrant } from '@edgesmith/artifacts/signed-url'
import { DownloadUrlId, maximumDownloads } from '@edgesmith/contract/artifact'
import { ArtifactId, FileName } from '@edgesmith/contract/identifiers'
import { parseProjectName } from '@edgesmith/contract/project'
import { ProblemError, type ProblemCode } from '@edgesmith/contract/problem'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type, type Static } from 'typebox'
import type { ArtifactContext } from './context.ts'

/** The path parameters of a signed URL. */
export const DownloadParams = Type.Object({ id: ArtifactId, name: FileName })

/** The query of a signed URL. */
export const DownloadQuery = Type.Object(
  {
    project: Type.String({
      maxLength: 96,
      description: 'The project of the artifact.',
      examples: ['acme/stores'],
    }),
    expires: Type.Integer({ minimum: 0, description: 'When the URL expires, in seconds since 1970.' }),
    method: Type.Enum(['GET', 'HEAD'], {
      default: 'GET',
      description: 'What the URL allows; `GET` allows HEAD too.',
    }),
    grant: Type.Optional(DownloadUrlId),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: maximumDownloads, description: 'How many downloads it allows.' }),
    ),
    client: Type.Optional(
      Type.String({ maxLength: 64, description: 'Address or network of the clients it is for.' }),
    ),
    signature: Type.String({
      minLength: 1,
      maxLength: 128,
      description: 'HMAC-SHA256 of the method, the path and all other parameters, base64url.',
    }),
  },
  { additionalProperties: false },
)

/** The problems of a request that is not authorized. */
export const downloadProblems = [
  'invalid-signature',
  'expired-signature',
  'revoked-signature',
  'used-up-signature',
  'wrong-client-address',
  'artifact-not-found',
] as const satisfies readonly ProblemCode[]

/** What is asked of a request by a signed URL; Fastify's request is one. */
export type DownloadRequest = {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  /** The client's address, as the trusted proxies tell it. */
  readonly ip: string
  readonly params: Static<typeof DownloadParams>
  readonly query: Static<typeof DownloadQuery>
  readonly validationError?: FastifyRequest['validationError'] | undefined
}

/**
 * Checks what a signed URL says of itself: that it was not altered, has not expired, and is for this method and
 * client. The route has `DownloadParams` and `DownloadQuery` as its schemas and `attachValidation: true`: a URL
 * that does not fit them was altered.
 * @throws ProblemError one of `downloadProblems`
 */
export function checkSignedUrl(
  request: DownloadRequest,
  { config }: Pick<ArtifactContext, 'config'>,
): DownloadGrant {
  const { validationError: fault } = request
  if (fault !== undefined) {
    if (fault.validationContext === 'headers') throw fault
    throw altered()
  }
  const grant = grantOf(request)
  if (!isSigned(grant, request.query.signature, config.signingKeys)) throw altered()
  if (grant.method === 'HEAD' && request.method !== 'HEAD') {
    throw new ProblemError('invalid-signature', 'The URL was made for HEAD alone.')
  }
  if (Date.now() >= grant.expires * 1000) {
    throw new ProblemError(
      'expired-signature',
      'The URL has expired. Ask for a new one with POST /v1/artifacts/{id}/download-url.',
    )
  }
  if (grant.client !== undefined && !isInNetwork(grant.client, request.ip)) {
    throw new ProblemError(
      'wrong-client-address',
      `The URL is for other clients than ${request.ip}. Behind a proxy, TRUSTED_PROXIES has to name it.`,
    )
  }
  return grant
}

/**
 * The artifact of a signed URL that was checked, unless the URL was revoked or is used up. A download is not
 * counted yet: that is done by `claimDownload`, before bytes are sent.
 * @throws ProblemError one of `downloadProblems`
 */
export async function findGranted(store: ObjectStore, grant: DownloadGrant): Promise<StoredArtifact> {
  const [state, stored] = await Promise.all([
    grant.grant === undefined ? 'live' : grantState(store, grant.grant, grant.limit),
    findArtifact(store, grant.artifactId),
  ])
  if (state === 'revoked') throw new ProblemError('revoked-signature', 'The URL has been revoked.')
  if (state === 'used-up') throw usedUp(grant)
  if (stored?.artifact.name !== grant.name) {
    throw new ProblemError('artifact-not-found', `There is no artifact ${grant.artifactId} any more.`)
  }
  return stored
}

/**
 * Counts a download by a URL that allows a number of them. To be called, after `findGranted`, for
 * each GET that is about to be answered with bytes of the file, whole or in part; not for HEAD, 304 and 416.
 * @throws ProblemError `used-up-signature`
 */
export async function claimDownload(request: DownloadRequest, store: ObjectStore): Promise<void> {
  const { grant, limit } = request.query
  if (request.method === 'HEAD' || limit === undefined) return
  if (grant === undefined || !(await claimUse(store, grant, limit))) throw usedUp({ limit })
}

/**
 * Whether the URL is limited to clients or in number. The answer then has to come from this service: a
 * URL of the object store that it redirected to would have neither limit.
 */
export function isRestricted({ query }: Pick<DownloadRequest, 'query'>): boolean {
  return query.limit !== undefined || query.client !== undefined
}

function grantOf({ params, query }: DownloadRequest): DownloadGrant {
  const { expires, method, grant, limit, client } = query
  const project = parseProjectName(query.project)
  if (project === undefined) throw altered()
  return { project, artifactId: params.id, name: params.name, method, expires, grant, limit, client }
}

function altered(): ProblemError {
  return new ProblemError(
    'invalid-signature',
    'The URL was altered or cut off. Use it exactly as it was given.',
  )
}

function usedUp({ limit }: { limit?: number | undefined }): ProblemError {
  return new ProblemError(
    'used-up-signature',
    `The URL allows ${limit === 1 ? 'one download' : `${limit ?? 0} downloads`}, and no more are left. Every range counts as one.`,
  )
}
