import type { FastifyReply, FastifyRequest } from 'fastify'
import { dataKey, findArtifact } from '@edgesmith/artifacts/artifacts'
import { verifyDownloadUrl } from '@edgesmith/artifacts/signed-url'
import type { Artifact } from '@edgesmith/contract/artifact'
import { ArtifactId, FileName } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type, type Static } from 'typebox'
import { requestedRange } from '../byte-range.ts'
import type { ArtifactContext } from '../context.ts'

const Params = Type.Object({ id: ArtifactId, name: FileName })
const Query = Type.Object(
  {
    expires: Type.Integer({ minimum: 0, description: 'When the URL expires, in seconds since 1970.' }),
    signature: Type.String({
      minLength: 1,
      maxLength: 128,
      description: 'HMAC-SHA256 of the URL, base64url.',
    }),
  },
  { additionalProperties: false },
)
const Bytes = Type.Unsafe<never>({ type: 'string', contentMediaType: 'application/octet-stream' })
const bytes = (description: string) => ({
  description,
  content: { 'application/octet-stream': { schema: Bytes } },
})

const RequestHeaders = Type.Object({
  range: Type.Optional(Type.String({ description: 'The bytes wanted.', examples: ['bytes=0-1048575'] })),
  'if-range': Type.Optional(Type.String({ description: 'The ETag that the range belongs to.' })),
  'if-none-match': Type.Optional(Type.String({ description: 'ETags the client has.' })),
})
const problems = problemResponses(
  'invalid-parameter',
  'invalid-signature',
  'expired-signature',
  'artifact-not-found',
  'range-not-satisfiable',
)

type DownloadRequest = { params: Static<typeof Params>; query: Static<typeof Query> }

/** `GET` and `HEAD /v1/downloads/{id}/{name}`: the signed URLs. */
export function downloadRoutes(app: App, { config, store }: ArtifactContext): void {
  const common = {
    tags: ['artifacts'],
    security: [{ signedUrl: [] }],
    params: Params,
    querystring: Query,
    headers: RequestHeaders,
  }

  app.get(
    '/v1/downloads/:id/:name',
    {
      exposeHeadRoute: false,
      schema: {
        ...common,
        operationId: 'downloadArtifact',
        summary: 'Download an artifact by its signed URL',
        description:
          'Takes `Range` with one range, `If-Range` and `If-None-Match`, so that a download that broke off can be resumed (`curl -C -`).',
        response: {
          200: bytes('The whole file.'),
          206: bytes('The range asked for.'),
          304: { description: 'The client has this file already.', type: 'null' },
          ...problems,
        },
      },
    },
    async (request, reply) => sendArtifact(request, reply, await authorize(request)),
  )

  app.head(
    '/v1/downloads/:id/:name',
    {
      config: { swagger: { exposeHeadRoute: true } },
      schema: {
        ...common,
        operationId: 'describeDownload',
        summary: 'Tell size, digest and type of a download',
        response: {
          200: { description: 'The headers that GET would answer with.', type: 'null' },
          304: { description: 'The client has this file already.', type: 'null' },
          ...problems,
        },
      },
    },
    async (request, reply) => sendArtifact(request, reply, await authorize(request)),
  )

  async function authorize({ params, query }: DownloadRequest): Promise<Artifact> {
    const { id, name } = params
    const { expires, signature } = query
    assertSigned(
      verifyDownloadUrl({
        artifactId: id,
        name,
        expires,
        signature,
        keys: config.signingKeys,
        now: new Date(),
      }),
    )
    const artifact = (await findArtifact(store, id))?.artifact
    if (artifact?.name !== name)
      throw new ProblemError('artifact-not-found', `There is no artifact ${id} any more.`)
    return artifact
  }

  async function sendArtifact(
    request: FastifyRequest,
    reply: FastifyReply,
    artifact: Artifact,
  ): Promise<FastifyReply> {
    const etag = `"${artifact.sha256}"`
    reply.headers({
      etag,
      'accept-ranges': 'bytes',
      'last-modified': new Date(artifact.createdAt).toUTCString(),
      'cache-control': 'private, no-transform',
      'content-type': artifact.mediaType,
      'content-disposition': `attachment; filename="${artifact.name}"`,
      'repr-digest': `sha-256=:${Buffer.from(artifact.etag, 'hex').toString('base64')}:`,
    })
    if (hasETag(request.headers['if-none-match'], etag)) return reply.code(304).send()
    const ifRange = request.headers['if-range']
    const range =
      ifRange === undefined || ifRange === etag
        ? requestedRange(request.headers.range, artifact.size)
        : undefined
    if (range !== undefined) {
      reply
        .code(206)
        .header('content-range', `bytes ${range.offset}-${range.offset + range.length - 1}/${artifact.size}`)
    }
    reply.header('content-length', range?.length ?? artifact.size)
    if (request.method === 'HEAD' || artifact.size === 0) return reply.send('')
    return reply.send(await store.get(dataKey(artifact.id), range))
  }
}

function assertSigned(verdict: 'ok' | 'expired' | 'invalid'): void {
  if (verdict === 'expired')
    throw new ProblemError(
      'expired-signature',
      'The URL has expired. Ask for a new one with POST /v1/artifacts/{id}/download-url.',
    )
  if (verdict === 'invalid')
    throw new ProblemError(
      'invalid-signature',
      'The URL was altered or cut off. Use it exactly as it was given.',
    )
}

function hasETag(header: string | undefined, etag: string): boolean {
  return (
    header !== undefined &&
    header.split(',').some((candidate) => ['*', etag, `W/${etag}`].includes(candidate.trim()))
  )
}
