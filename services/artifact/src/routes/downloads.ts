import type { FastifyReply, FastifyRequest } from 'fastify'
import { noteForAudit, recordNow } from '@edgesmith/audit/audit-routes'
import { checksumBytes, knownSha256, sha256Of } from '@edgesmith/artifacts/digest'
import type { StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { sliceManifest } from '@edgesmith/manifest/manifest'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { PieceReader, sizeOf, type ReadablePiece } from '@edgesmith/store/pieces'
import { Type } from 'typebox'
import {
  checkSignedUrl,
  claimDownload,
  DownloadParams,
  downloadProblems,
  DownloadQuery,
  findGranted,
  isRestricted,
  type DownloadRequest,
} from '../authorize-download.ts'
import { requestedRanges, type ByteRange } from '../byte-range.ts'
import { inProject, type ArtifactContext, type ProjectContext } from '../context.ts'
import { leaseFor, orNotFound } from '../find-artifact.ts'
import { reactToDamage } from '../found-damage.ts'
import { contentRange, multipartRanges } from '../multipart-ranges.ts'
import { isNotModified, isRangeCurrent } from '../preconditions.ts'
import { redirectUrl } from '../redirect.ts'
import { ClientGone, readyBody, type ReadyBody } from '../send-body.ts'

/** Of the media type of the artifact, or of several ranges of it. */
const bytes = (description: string) => ({
  description,
  content: { '*/*': { schema: Type.Unsafe<never>({}) } },
})

const text = (description: string, examples: string[] = []) =>
  Type.Optional(Type.String({ description, ...(examples.length === 0 ? {} : { examples }) }))
const RequestHeaders = Type.Object({
  range: text('The bytes wanted, in one range or in several.', ['bytes=0-1048575', 'bytes=0-99,-100']),
  'if-range': text('The ETag, or the Last-Modified date, of the file that the range belongs to.'),
  'if-none-match': text('ETags the client has.'),
  'if-modified-since': text('Date of the file that the client has; heeded without `If-None-Match`.'),
  'if-match': text('ETags the file may have.'),
  'if-unmodified-since': text('Date the file may have at most; heeded without `If-Match`.'),
  'want-repr-digest': text(
    'With `sha-256` the digest is computed, where it is not known yet, before the answer begins.',
    ['sha-256=1'],
  ),
})
const notModified = { description: 'The client has this file already.', type: 'null' }
const problems = problemResponses(
  'invalid-parameter',
  ...downloadProblems,
  'precondition-failed',
  'range-not-satisfiable',
)

/** `GET` and `HEAD /v1/downloads/{id}/{name}`: the signed URLs. */
export function downloadRoutes(app: App, context: ArtifactContext): void {
  const common = {
    tags: ['artifacts'],
    security: [{ signedUrl: [] }],
    params: DownloadParams,
    querystring: DownloadQuery,
    headers: RequestHeaders,
  }

  app.get(
    '/v1/downloads/:id/:name',
    {
      exposeHeadRoute: false,
      attachValidation: true,
      config: { scope: 'public', audit: true },
      schema: {
        ...common,
        operationId: 'downloadArtifact',
        summary: 'Download an artifact by its signed URL',
        description:
          'Takes `Range` and `If-Range`, so that a download that broke off can be resumed (`curl -C -`), and the preconditions of RFC 9110. `Repr-Digest` is sent when the SHA-256 is known.',
        response: {
          200: bytes('The whole file.'),
          206: bytes('The range asked for; several as `multipart/byteranges`.'),
          304: notModified,
          307: {
            description: 'The object store answers the file at `Location` (`DOWNLOAD_REDIRECT`).',
            type: 'null',
          },
          ...problems,
        },
      },
    },
    (request, reply) => answer(request, reply),
  )

  app.head(
    '/v1/downloads/:id/:name',
    {
      config: { scope: 'public', swagger: { exposeHeadRoute: true } },
      attachValidation: true,
      schema: {
        ...common,
        operationId: 'describeDownload',
        summary: 'Tell size, digest and type of a download',
        response: {
          200: { description: 'The headers that GET would answer with.', type: 'null' },
          304: notModified,
          ...problems,
        },
      },
    },
    (request, reply) => answer(request, reply),
  )

  async function answer(
    request: FastifyRequest & DownloadRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply | undefined> {
    const { headers, method } = request
    const grant = checkSignedUrl(request, context)
    const project = inProject(context, grant.project)
    const { store, images } = project
    const download = {
      ...(grant.grant === undefined ? {} : { grant: grant.grant }),
      ...(headers.range === undefined ? {} : { range: headers.range.slice(0, 256) }),
    }
    noteForAudit(request, { project: grant.project, download: { ...download, bytes: 0 } })
    // Before the record is read, which is removed first.
    await using _lease = method === 'GET' ? await leaseFor(request, store, grant.artifactId) : undefined
    const stored = await findGranted(store, grant)
    const { artifact } = stored
    const validators = { etag: `"${artifact.etag}"`, lastModified: new Date(artifact.createdAt) }
    const hasFile = isNotModified(headers, validators)
    const disposition = `attachment; filename="${artifact.name}"`
    if (method === 'GET' && !hasFile && !isRestricted(request) && !isConditional(headers)) {
      const location = await redirectUrl(context, grant.project, stored, disposition)
      if (location !== undefined) {
        return await reply.code(307).headers({ location, 'cache-control': 'no-store' }).send()
      }
    }
    const sha256 = await digestFor(request, project, stored)
    const description = {
      etag: validators.etag,
      'accept-ranges': 'bytes',
      'last-modified': validators.lastModified.toUTCString(),
      'cache-control': 'private, no-transform',
      'content-type': artifact.mediaType,
      'content-disposition': disposition,
      ...(sha256 === undefined
        ? {}
        : { 'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:` }),
    }
    if (hasFile) return await reply.code(304).headers(description).send()
    if (method === 'HEAD') {
      return await reply.headers({ ...description, 'content-length': artifact.size }).send('')
    }
    const ranges = isRangeCurrent(headers['if-range'], validators)
      ? requestedRanges(headers.range, artifact.size)
      : undefined
    await claimDownload(request, store)
    // What is refused up to here has none of the file's headers.
    const { pieces, ...part } = await bodyOf(request, project, { stored, ranges })
    await using body = await orNotFound(readyBody(new PieceReader(images, pieces)))
    // What cannot be recorded is not handed out.
    noteForAudit(request, { download: { ...download, bytes: sizeOf(pieces) } })
    await recordNow(context.stores.whole, request, reply.code(part.status))
    reply.headers({ ...description, ...part.headers, 'content-length': sizeOf(pieces) })
    await send(request, reply, body)
    return undefined
  }

  /** What the body is made of, and the status and headers that tell so. */
  async function bodyOf(
    request: FastifyRequest,
    project: ProjectContext,
    { stored, ranges }: { stored: StoredArtifact; ranges: readonly ByteRange[] | undefined },
  ): Promise<{ status: number; headers: Record<string, string>; pieces: readonly ReadablePiece[] }> {
    const { artifact } = stored
    const slice = await openSlices(request, project, stored)
    const [range, ...others] = ranges ?? []
    if (ranges === undefined || range === undefined) {
      return { status: 200, headers: {}, pieces: slice({ offset: 0, length: artifact.size }) }
    }
    if (others.length === 0) {
      const headers = { 'content-range': contentRange(range, artifact.size) }
      return { status: 206, headers, pieces: slice(range) }
    }
    const { contentType, pieces } = multipartRanges(ranges, artifact, slice)
    return { status: 206, headers: { 'content-type': contentType }, pieces }
  }

  async function openSlices(
    request: FastifyRequest,
    { store, images }: ProjectContext,
    { content }: StoredArtifact,
  ): Promise<(range: ByteRange) => readonly ReadablePiece[]> {
    if (content.kind === 'manifest') return (range) => sliceManifest(content.manifest, range)
    waitLong(request)
    const line = await orNotFound(checksumBytes(store, content, images))
    return ({ offset, length }) => [{ length, bytes: line.subarray(offset, offset + length) }]
  }

  async function send(request: FastifyRequest, reply: FastifyReply, body: ReadyBody): Promise<void> {
    reply.hijack()
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value)
    }
    reply.raw.writeHead(reply.statusCode)
    try {
      await body.send(reply.raw)
    } catch (error) {
      if (error instanceof ClientGone) request.log.info(error.message)
      else request.log.error({ err: error }, 'A download broke off.')
      await reactToDamage(context.stores, request.log, error)
    }
  }

  async function digestFor(
    request: FastifyRequest,
    { store, images }: ProjectContext,
    stored: StoredArtifact,
  ): Promise<string | undefined> {
    if (!wantsDigest(request.headers['want-repr-digest'])) return knownSha256(store, stored)
    waitLong(request)
    return orNotFound(sha256Of(store, stored, images))
  }
}

/** The answer may begin only after an image was read: the connection is not to be cut for its silence. */
function waitLong(request: FastifyRequest): void {
  request.raw.setTimeout(0)
}

/** Another server does not know this service's validators and digests. */
function isConditional(headers: FastifyRequest['headers']): boolean {
  return (
    headers['if-range'] !== undefined ||
    headers['if-match'] !== undefined ||
    headers['if-none-match'] !== undefined ||
    wantsDigest(headers['want-repr-digest'])
  )
}

/** RFC 9530, section 4: a dictionary of algorithms with preferences, of which 0 means "not acceptable". */
function wantsDigest(header: string | string[] | undefined): boolean {
  const preferences = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',')
  return preferences.some((preference) => /^\s*sha-256=(?:10|[1-9])\s*$/.test(preference))
}
