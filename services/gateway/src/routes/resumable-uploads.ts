import { DigestHeader, UploadChecksum } from '@edgesmith/contract/digest-header'
import { ProblemError } from '@edgesmith/contract/problem'
import { ResumableUpload } from '@edgesmith/contract/upload'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { parseDigestHeader } from '@edgesmith/uploads/content-digest'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { ResumableRecord } from '@edgesmith/uploads/resumable-record'
import { ResumableUploads } from '@edgesmith/uploads/resumable-uploads'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { inProject, type GatewayContext } from '../context.ts'
import { answerTus, assertTusVersion, resumablePath, tusVersion } from '../resumable/answer-tus.ts'
import type { TusContext } from '../resumable/answer-tus.ts'
import { readChecksums } from '../resumable/checked-body.ts'
import { RedisLocker } from '../resumable/redis-locker.ts'
import { noSuchUpload } from '../resumable/tus-data-store.ts'
import { withoutBodyValidation } from '../submission-form.ts'

const chunkType = 'application/offset+octet-stream'
const body = {
  content: { [chunkType]: { schema: Type.Unsafe<never>({ contentMediaType: chunkType }) } },
}
const Params = Type.Object({
  id: Type.String({ format: 'uuid', description: 'Identifier of the resumable upload.' }),
})
const Count = (description: string) => Type.String({ pattern: '^(0|[1-9][0-9]*)$', description })
const tusHeaders = {
  'tus-resumable': Type.Enum([tusVersion], { description: 'Version of the tus protocol.' }),
}
const checksumHeaders = {
  'upload-checksum': Type.Optional(UploadChecksum),
  'content-digest': Type.Optional(DigestHeader('Digest of this body')),
}
/** A name, and a value in base64: one pair of `Upload-Metadata` (tus 1.0, extension creation). */
const metadataPair = '[!-+\\--~]+(?: (?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)?'
const textHeader = (description: string) => ({ type: 'string', description })
const answered = {
  'Tus-Resumable': textHeader('Version of the tus protocol.'),
  'Upload-Offset': textHeader('How many bytes are stored: where to go on.'),
  'Upload-Expires': textHeader('When an unfinished upload is removed, as an HTTP date.'),
  'Upload-Content-Id': textHeader('Once the file is complete: its content id, as of other uploads.'),
}
const commonProblems = [
  'malformed-request',
  'invalid-parameter',
  'unsupported-tus-version',
  'upload-locked',
] as const
const fileProblems = [
  'content-too-large',
  'unsupported-media-type',
  'corrupt-file',
  'digest-mismatch',
  'checksum-mismatch',
  'too-many-uploads',
] as const

/** The routes of `/v1/uploads/resumable`: tus 1.0, and `GET` for what became of an upload. */
export function resumableUploadRoutes(parent: App, context: GatewayContext): void {
  void parent.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(chunkType, (_request, payload, parsed) => {
      parsed(null, payload)
    })
    // Another version is a matter of the protocol, and told as such before anything else of a request.
    scope.addHook('preValidation', assertTusVersion)
    const { redis, config } = context
    const tusOf: TusOf = ({ principal, method }) => {
      const { store, uploadLimits } = inProject(context, principal)
      return {
        uploads: new ResumableUploads(storeFor(method, store), uploadLimits),
        locker: new RedisLocker(redis, principal),
        ttlMs: config.resumableUploadTtlMs,
        limits: uploadLimits,
      }
    }
    addCreation(scope, tusOf)
    refuseGet(scope)
    addTransfer(scope, tusOf)
    addManagement(scope, tusOf)
    done()
  })
}

/** What resumable uploads are done with in the project of a request. */
type TusOf = (request: Pick<FastifyRequest, 'principal' | 'method'>) => TusContext

/** The store for a request: what bytes it brings is worth to wait for. */
function storeFor(method: string, store: ObjectStore): ObjectStore {
  return method === 'POST' || method === 'PATCH' ? store.patient() : store
}

function addCreation(app: App, tusOf: TusOf): void {
  app.options(
    resumablePath,
    {
      config: { scope: 'uploads:write' },
      schema: {
        operationId: 'describeResumableUploads',
        tags: ['uploads'],
        summary: 'Tell what of the tus protocol is spoken',
        response: {
          204: {
            description: 'Version, extensions and limits.',
            type: 'null',
            headers: {
              'Tus-Version': textHeader('Versions of the protocol.'),
              'Tus-Extension': textHeader('Extensions of the protocol.'),
              'Tus-Max-Size': textHeader('Largest file, in bytes.'),
              'Tus-Checksum-Algorithm': textHeader('Algorithms of `Upload-Checksum`.'),
            },
          },
          ...problemResponses('malformed-request'),
        },
      },
    },
    (request, reply) => answerTus(tusOf(request), {}, request, reply),
  )

  app.post(
    resumablePath,
    {
      validatorCompiler: withoutBodyValidation,
      config: { scope: 'uploads:write' },
      schema: {
        operationId: 'createResumableUpload',
        tags: ['uploads'],
        summary: 'Begin an upload that can be resumed',
        description:
          'Begins an upload by the [tus protocol](https://tus.io/protocols/resumable-upload), version 1.0 with the extensions creation, creation-with-upload, checksum, expiration and termination; any tus client can be pointed here. The first bytes may come with the request.',
        headers: Type.Object({
          ...tusHeaders,
          'upload-length': Count('Size of the file, in bytes.'),
          'upload-metadata': Type.Optional(
            Type.String({
              pattern: `^${metadataPair}(?:,${metadataPair})*$`,
              description: '`filename` and its value in base64, which becomes the name of the upload.',
              examples: ['filename Y29yZS50YXIuenN0'],
            }),
          ),
          'repr-digest': Type.Optional(DigestHeader('Digest of the whole file, once it is complete')),
          ...checksumHeaders,
        }),
        body,
        response: {
          201: {
            description: 'The upload is begun.',
            type: 'null',
            headers: { Location: { ...textHeader('The upload.'), format: 'uri-reference' }, ...answered },
          },
          ...problemResponses(...commonProblems, ...fileProblems, 'empty-file', 'quota-exceeded'),
        },
      },
    },
    (request, reply) => {
      const { headers } = request
      const digest = headers['repr-digest']
      const expected = digest === undefined ? [] : parseDigestHeader('Repr-Digest', digest)
      const checksums = readChecksums(headers['upload-checksum'], headers['content-digest'])
      return answerTus(tusOf(request), { expected, checksums }, request, reply)
    },
  )
}

/** Tells what `GET /v1/uploads/{id}` would take for the id of an upload that it takes no `GET`. */
function refuseGet(app: App): void {
  const config = { scope: 'any', refused: true } as const
  app.get(resumablePath, { config, schema: { hide: true } }, (_request, reply) => {
    reply.callNotFound()
  })
}

function addTransfer(app: App, tusOf: TusOf): void {
  app.head(
    `${resumablePath}/:id`,
    {
      config: { scope: 'uploads:read', swagger: { exposeHeadRoute: true } },
      schema: {
        operationId: 'getResumableUploadOffset',
        tags: ['uploads'],
        summary: 'Tell where an upload goes on',
        params: Params,
        headers: Type.Object(tusHeaders),
        response: {
          200: {
            description: 'How much of the file is stored.',
            type: 'null',
            headers: { ...answered, 'Upload-Length': textHeader('Size of the file, in bytes.') },
          },
          ...problemResponses(...commonProblems, 'upload-not-found', 'upload-expired', 'corrupt-file'),
        },
      },
    },
    (request, reply) => answerTus(tusOf(request), {}, request, reply),
  )

  app.patch(
    `${resumablePath}/:id`,
    {
      validatorCompiler: withoutBodyValidation,
      config: { scope: 'uploads:write' },
      schema: {
        operationId: 'appendResumableUpload',
        tags: ['uploads'],
        summary: 'Send bytes of an upload',
        description:
          'Stores bytes from the offset on where the upload goes on. When the connection breaks, what came is kept, unless the bytes came with a checksum. The request that brings the last bytes is answered once the whole file has been checked.',
        params: Params,
        headers: Type.Object({
          ...tusHeaders,
          'upload-offset': Count('Offset of the first byte in the file.'),
          ...checksumHeaders,
        }),
        body,
        response: {
          204: { description: 'The bytes are stored.', type: 'null', headers: answered },
          ...problemResponses(
            ...commonProblems,
            ...fileProblems,
            'upload-not-found',
            'upload-offset-conflict',
            'upload-expired',
          ),
        },
      },
    },
    (request, reply) => {
      const checksums = readChecksums(request.headers['upload-checksum'], request.headers['content-digest'])
      return answerTus(tusOf(request), { checksums }, request, reply)
    },
  )
}

function addManagement(app: App, tusOf: TusOf): void {
  app.get(
    `${resumablePath}/:id`,
    {
      exposeHeadRoute: false,
      config: { scope: 'uploads:read' },
      schema: {
        operationId: 'getResumableUpload',
        tags: ['uploads'],
        summary: 'Tell about an upload that can be resumed',
        description: 'Once the file is complete and checked, `upload` tells its content id.',
        params: Params,
        response: {
          200: {
            description: 'The resumable upload.',
            content: { 'application/json': { schema: ResumableUpload } },
          },
          ...problemResponses('invalid-parameter', 'upload-not-found', 'upload-expired'),
        },
      },
    },
    async (request) => {
      const { id } = request.params
      const tus = tusOf(request)
      const record = await tus.uploads.find(id)
      if (record === undefined) throw noSuchUpload(id)
      const upload = toResumableUpload(record, tus.ttlMs)
      if (Date.parse(upload.expiresAt) < Date.now()) {
        throw new ProblemError('upload-expired', `The upload expired at ${upload.expiresAt}. Begin it anew.`)
      }
      return upload
    },
  )

  app.delete(
    `${resumablePath}/:id`,
    {
      config: { scope: 'uploads:write' },
      schema: {
        operationId: 'deleteResumableUpload',
        tags: ['uploads'],
        summary: 'Give up an upload',
        description: 'Removes what is stored of it. The upload that a complete one has become stays.',
        params: Params,
        headers: Type.Object(tusHeaders),
        response: {
          204: { description: 'It is gone.', type: 'null' },
          ...problemResponses(...commonProblems, 'upload-not-found'),
        },
      },
    },
    (request, reply) => answerTus(tusOf(request), {}, request, reply),
  )
}

function toResumableUpload(record: ResumableRecord, ttlMs: number): ResumableUpload {
  const { id, size, received, createdAt, upload } = record
  const expiresAt = new Date(Date.parse(createdAt) + ttlMs).toISOString()
  const common = { id, size, offset: received, createdAt, expiresAt }
  if (upload !== undefined) return { ...common, state: 'complete', upload }
  return { ...common, state: received < size ? 'receiving' : 'checking' }
}
