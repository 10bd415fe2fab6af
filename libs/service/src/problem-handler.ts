import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ProblemError, problems, toProblem, type ProblemCode } from '@edgesmith/contract/problem'
import { DamagedObject } from '@edgesmith/store/object-store'
import { StoreUnavailable } from '@edgesmith/store/retry'
import { toDiagnostics } from './request-validation.ts'

/** Fastify's own errors that are the client's doing, by their code. */
const byFastifyCode: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'content-too-large',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed-request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed-request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed-request',
  FST_REQ_FILE_TOO_LARGE: 'content-too-large',
  FST_PARTS_LIMIT: 'content-too-large',
  FST_FILES_LIMIT: 'content-too-large',
  FST_FIELDS_LIMIT: 'content-too-large',
  FST_INVALID_JSON_FIELD_ERROR: 'malformed-request',
  FST_INVALID_MULTIPART_CONTENT_TYPE: 'unsupported-media-type',
}

const byStatus: Readonly<Record<number, ProblemCode>> = {
  400: 'malformed-request',
  404: 'not-found',
  405: 'method-not-allowed',
  406: 'not-acceptable',
  408: 'request-timeout',
  413: 'content-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  416: 'range-not-satisfiable',
  431: 'header-fields-too-large',
  503: 'shutting-down',
}

/** Seconds after which a client should come again when the object store is away. */
const retryAfterSeconds = 5

/** The problem behind any error that a request handler threw. */
export function asProblemError(error: FastifyError | ProblemError): ProblemError {
  if (error instanceof ProblemError) return error
  if (error instanceof StoreUnavailable) {
    const headers = { 'retry-after': String(retryAfterSeconds) }
    return new ProblemError('upstream-unavailable', `${error.message} Try again later.`, {
      headers,
      cause: error,
    })
  }
  if (error instanceof DamagedObject) {
    return new ProblemError(
      'stored-bytes-damaged',
      'What the object store has of this is not what was stored; the service log names the object under this instance.',
      { cause: error },
    )
  }
  if (error.validation !== undefined) {
    const inBody = error.validationContext === 'body'
    return new ProblemError(
      inBody ? 'invalid-body' : 'invalid-parameter',
      `The ${error.validationContext ?? 'request'} has faults: ${error.message}`,
      { errors: toDiagnostics(error.validation, inBody ? 'spec' : 'request'), cause: error },
    )
  }
  const code = byFastifyCode[error.code] ?? byStatus[error.statusCode ?? 500]
  if (code !== undefined) return new ProblemError(code, error.message, { cause: error })
  return new ProblemError(
    'internal',
    'The request failed; the service log has the reason under this instance.',
    { cause: error },
  )
}

function sendProblem(
  error: FastifyError | ProblemError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const problem = asProblemError(error)
  const { status } = problems[problem.code]
  if (status >= 500) request.log.error({ err: error }, problem.message)
  else request.log.info({ code: problem.code, errors: problem.errors }, problem.message)
  return reply
    .code(status)
    .headers(problem.headers)
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(toProblem(problem, `urn:edgesmith:request:${request.id}`))
}

/** What Node's HTTP parser refuses before there is a request, by the code of its error. */
const byParserCode: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'header-fields-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}

/** How long a refused connection may go on sending before it is cut, in milliseconds. */
const lingerMs = 2000

/** Answers what cannot be parsed as HTTP with a problem, and closes the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // The parser fails again on whatever follows what it refused.
  if (socket.writableEnded) return
  // A connection that a client holds in reserve: there is no request that took too long. It may be as idle as others.
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) return
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem = toProblem(
    new ProblemError(
      byParserCode[error.code ?? ''] ?? 'malformed-request',
      'The request is not HTTP as this service takes it.',
    ),
  )
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  // Closing with bytes unread resets the connection, and the client may never see the answer.
  socket.resume()
  const deadline = setTimeout(() => socket.destroy(), lingerMs)
  socket
    .once('end', () => socket.destroy())
    .once('close', () => {
      clearTimeout(deadline)
    })
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route is there so that another one does not take its path for a parameter; it calls `callNotFound`. */
    refused?: boolean
  }
}

/** Answers every error of an app as problem+json (RFC 9457). The one place that maps errors. */
export function handleProblems(app: FastifyInstance): void {
  const routes: { method: string; url: string; path: RegExp }[] = []
  app.addHook('onRoute', ({ method, url, config }) => {
    // `*` is where preflights are taken; no resource of the API.
    if (config?.refused === true || url === '*') return
    const path = new RegExp(`^${url.replaceAll(/:[^/]+/g, '[^/]+').replaceAll('*', '.*')}$`)
    for (const name of [method].flat()) routes.push({ method: name, url, path })
  })
  app.setErrorHandler<FastifyError | ProblemError>(sendProblem)
  const nothingFor = (request: FastifyRequest) => {
    const path = request.url.split('?')[0] ?? ''
    const fitting = routes.filter((route) => route.path.test(path))
    const own = fitting.filter((route) => route.url === path)
    const allowed = new Set((own.length > 0 ? own : fitting).map(({ method }) => method))
    return allowed.size > 0
      ? new ProblemError('method-not-allowed', `${request.method} is not possible here.`, {
          headers: { allow: [...allowed].join(', ') },
        })
      : new ProblemError('not-found', `There is nothing at ${request.method} ${path.slice(0, 200)}.`)
  }
  app.setNotFoundHandler((request, reply) => sendProblem(nothingFor(request), request, reply))
  // Else Fastify would first find fault with a body, or with its absence.
  app.addHook('preParsing', (request, _reply, payload, done) => {
    if (request.is404) done(nothingFor(request))
    else done(null, payload)
  })
}
