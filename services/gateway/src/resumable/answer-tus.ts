import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ProblemCode } from '@edgesmith/contract/problem'
import type { ContentDigest } from '@edgesmith/uploads/content-digest'
import type { ResumableUploads } from '@edgesmith/uploads/resumable-uploads'
import type { UploadLimits } from '@edgesmith/uploads/upload-limits'
import { Server } from '@tus/server'
import type { Locker } from '@tus/server'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CheckedBody, checksumAlgorithms } from './checked-body.ts'
import type { BodyChecksum } from './checked-body.ts'
import { TusDataStore } from './tus-data-store.ts'

/** The path under which resumable uploads are. */
export const resumablePath = '/v1/uploads/resumable'

/** The version of the protocol that is spoken. */
export const tusVersion = '1.0.0'

/** How long a request that others wait for may still write down what it has, in milliseconds. */
const drainMs = 250

export type TusContext = {
  readonly uploads: ResumableUploads
  readonly locker: Locker
  readonly ttlMs: number
  readonly limits: UploadLimits
}

export type TusRequest = {
  /** Digests of the whole file, of a request that begins an upload. */
  readonly expected?: readonly ContentDigest[]
  /** Checksums of the body of this request. */
  readonly checksums?: readonly BodyChecksum[]
}

/** The library's own errors that are the client's doing, by status. */
const byStatus: Readonly<Record<number, ProblemCode>> = {
  400: 'malformed-request',
  403: 'malformed-request',
  404: 'upload-not-found',
  409: 'upload-offset-conflict',
  410: 'upload-expired',
  413: 'content-too-large',
  501: 'malformed-request',
}

/** The headers that are answered; those for browsers of other origins are not this API's policy. */
const answeredHeader = /^(tus-|upload-|location$|cache-control$|connection$)/

/**
 * Has the tus server answer a request, without a body. Its errors are thrown as problems, so that they
 * are answered as all others are.
 */
export async function answerTus(
  { uploads, locker, ttlMs, limits }: TusContext,
  { expected = [], checksums = [] }: TusRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<null> {
  const datastore = new TusDataStore({ uploads, ttlMs, expected, isAtomic: checksums.length > 0 })
  let failure: unknown
  const server = new Server({
    ...{ path: resumablePath, datastore, locker, relativeLocation: true, lockDrainTimeout: drainMs },
    maxSize: limits.limitBytes,
    namingFunction: () => randomUUID(),
    onResponseError: (_request, error) => {
      failure = error
      return undefined
    },
  })
  const body =
    request.body instanceof Readable ? new CheckedBody(checksums).readFrom(request.body) : undefined
  const response = await server.handleWeb(toWebRequest(request, body))
  // What is unread of the body would keep its connection from being used again.
  const cause = body?.errored ?? failure
  body?.destroy()
  request.raw.resume()
  if (response.status >= 400) {
    throw asProblem(cause, response.status, await response.text())
  }
  for (const [name, value] of response.headers) {
    if (answeredHeader.test(name)) reply.header(name, value)
  }
  if (request.method === 'OPTIONS') reply.header('tus-checksum-algorithm', checksumAlgorithms.join(','))
  const upload = datastore.record?.upload
  if (upload !== undefined) reply.header('upload-content-id', upload.id)
  reply.code(response.status)
  return null
}

function toWebRequest({ method, url, headers }: FastifyRequest, body: Readable | undefined): Request {
  const given = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) given.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  return new Request(new URL(url, 'http://gateway'), {
    method,
    headers: given,
    ...(body === undefined ? {} : { body: Readable.toWeb(body) as ReadableStream, duplex: 'half' }),
  })
}

/** Tells the version that is spoken, and refuses another; the library answers one with 400, which the protocol does not mean. */
export function assertTusVersion(
  { method, headers }: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  // `GET` is this API's own.
  if (method === 'GET') {
    done()
    return
  }
  reply.header('tus-resumable', tusVersion)
  const isSpoken = method === 'OPTIONS' || headers['tus-resumable'] === tusVersion
  done(
    isSpoken
      ? undefined
      : new ProblemError('unsupported-tus-version', `Send the header Tus-Resumable: ${tusVersion}`, {
          headers: { 'tus-version': tusVersion },
        }),
  )
}

function asProblem(failure: unknown, status: number, text: string): Error {
  if (failure instanceof ProblemError) return failure
  const code = byStatus[status]
  if (code !== undefined) {
    return new ProblemError(code, text.trim(), { cause: failure })
  }
  return failure instanceof Error ? failure : new Error(text)
}
