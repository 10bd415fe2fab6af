import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { DigestHeader } from '@edgesmith/contract/digest-header'
import { ContentId, FileName, fileNamePattern } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import { Upload } from '@edgesmith/contract/upload'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { parseDigestHeader } from '@edgesmith/uploads/content-digest'
import type { ContentDigest } from '@edgesmith/uploads/content-digest'
import { commitUpload, findUpload, stageUpload } from '@edgesmith/uploads/uploads'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { inProject, type GatewayContext } from '../context.ts'
import { discardBody } from '../discard-body.ts'
import { withoutBodyValidation } from '../submission-form.ts'

const Bytes = Type.Unsafe<never>({ contentMediaType: 'application/octet-stream' })
const uploadBody = {
  content: {
    'application/octet-stream': { schema: Bytes },
    'multipart/form-data': { schema: Type.Object({ file: Bytes }, { additionalProperties: false }) },
  },
}

const digestHeaderNames = ['Content-Digest', 'Repr-Digest'] as const
const DigestOfFile = Type.Optional(DigestHeader('Digest of the file'))
const DigestHeaders = Type.Object({ 'content-digest': DigestOfFile, 'repr-digest': DigestOfFile })

/** `POST /v1/uploads` and `GET /v1/uploads/{id}`. */
export function uploadRoutes(parent: App, context: GatewayContext): void {
  void parent.register((scope, _options, done) => {
    // Here any body but a form is the file itself, whatever it says it is.
    scope.removeContentTypeParser([
      'application/json',
      'text/plain',
      'application/yaml',
      'text/yaml',
      'application/x-yaml',
    ])
    scope.addContentTypeParser('*', (_request, payload, parsed) => {
      parsed(null, payload)
    })
    addRoutes(scope, context)
    done()
  })
}

function addRoutes(app: App, context: GatewayContext): void {
  app.post(
    '/v1/uploads',
    {
      validatorCompiler: withoutBodyValidation,
      config: { scope: 'uploads:write' },
      schema: {
        operationId: 'createUpload',
        tags: ['uploads'],
        summary: 'Store a file',
        description:
          'Streams one file into the store: as the raw body (`curl --data-binary @file -H "Content-Type: application/octet-stream"` or `curl -T file -X POST`) or as the one file part of a form (`curl -F file=@file`). The same content twice is one object and has the same id. A Zstandard or gzip file is decompressed for a test as it arrives. Large files over a bad line are better sent with `POST /v1/uploads/resumable`.',
        headers: DigestHeaders,
        body: uploadBody,
        querystring: Type.Object({ fileName: Type.Optional(FileName) }, { additionalProperties: false }),
        response: {
          201: { description: 'The file is stored.', content: { 'application/json': { schema: Upload } } },
          200: {
            description: 'The same content was stored before.',
            content: { 'application/json': { schema: Upload } },
          },
          ...problemResponses(
            'malformed-request',
            'invalid-parameter',
            'content-too-large',
            'unsupported-media-type',
            'invalid-body',
            'empty-file',
            'corrupt-file',
            'digest-mismatch',
            'too-many-uploads',
            'quota-exceeded',
          ),
        },
      },
    },
    async (request, reply) => {
      const { store, uploadLimits } = inProject(context, request.principal)
      const expected = readDigests(request, request.headers)
      const { content, fileName } = await readFile(request)
      const name = request.query.fileName ?? fileName
      // What has come so far is worth to wait for the store.
      const patient = store.patient()
      const staged = await stageUpload(patient, content, uploadLimits, { expected }).catch(
        (error: unknown) => {
          discardBody(request)
          throw error
        },
      )
      const { upload, created } = await commitUpload(
        patient,
        staged,
        name === undefined ? {} : { fileName: name },
      )
      return reply
        .code(created ? 201 : 200)
        .header('location', `/v1/uploads/${upload.id}`)
        .send(upload)
    },
  )

  app.get(
    '/v1/uploads/:id',
    {
      config: { scope: 'uploads:read' },
      schema: {
        operationId: 'getUpload',
        tags: ['uploads'],
        summary: 'Tell about an upload',
        params: Type.Object({ id: ContentId }),
        response: {
          200: { description: 'The upload.', content: { 'application/json': { schema: Upload } } },
          ...problemResponses('invalid-parameter', 'upload-not-found'),
        },
      },
    },
    async (request) => {
      const { store } = inProject(context, request.principal)
      const found = await findUpload(store, request.params.id)
      if (found === undefined)
        throw new ProblemError('upload-not-found', `There is no upload ${request.params.id}.`)
      return found.upload
    },
  )
}

/** The digests that the headers ask for. They speak of the file only where it is the whole body. */
function readDigests(request: FastifyRequest, headers: Static<typeof DigestHeaders>): ContentDigest[] {
  const given = digestHeaderNames.flatMap((name) => {
    const header = headers[name.toLowerCase() as Lowercase<typeof name>]
    return header === undefined ? [] : [{ name, header }]
  })
  if (given.length > 0 && request.isMultipart()) {
    throw new ProblemError(
      'malformed-request',
      `${given.map(({ name }) => name).join(' and ')} cannot be verified for a form: send the file as the body itself (\`curl -T file -X POST\`), or without the header.`,
    )
  }
  return given.flatMap(({ name, header }) => parseDigestHeader(name, header))
}

async function readFile(
  request: FastifyRequest,
): Promise<{ content: Readable; fileName: string | undefined }> {
  if (!request.isMultipart()) {
    const { body } = request
    if (!(body instanceof Readable))
      throw new ProblemError('empty-file', 'The request has no body: send the bytes of the file.')
    return { content: body, fileName: undefined }
  }
  const part = await request.file()
  if (part === undefined) {
    throw new ProblemError('invalid-body', 'The form has no file part.', {
      errors: [
        {
          severity: 'error',
          code: 'multipart.missing-part',
          message: 'Send the file as a part with a file name, for example with `curl -F file=@core.tar.zst`.',
          source: 'spec',
          pointer: '/file',
        },
      ],
    })
  }
  return { content: part.file, fileName: fileNamePattern.test(part.filename) ? part.filename : undefined }
}
