import { Readable } from 'node:stream'
import type { AuditRecord } from '@edgesmith/contract/audit'
import type { ProjectRef } from '@edgesmith/contract/project'
import { ProblemError, problems, toProblem } from '@edgesmith/contract/problem'
import { knownPrincipal } from '@edgesmith/service/access'
import type { App } from '@edgesmith/service/app'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { appendRecord } from './audit-log.ts'
import { RefusalLimit } from './refusal-limit.ts'

/** What a handler knows of a request that nobody else does. */
export type AuditNote = {
  /** The project that the request acts in, where it has no principal. */
  readonly project?: ProjectRef
  readonly download?: AuditRecord['download']
}

const note = Symbol('audit note')
const isRecorded = Symbol('audit record')

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether requests are recorded; by default those of methods that change something. */
    audit?: boolean
  }
  interface FastifyRequest {
    [note]?: AuditNote
    [isRecorded]?: boolean
  }
}

const unavailableStatus = problems['audit-unavailable'].status
const mutating = ['POST', 'PUT', 'PATCH', 'DELETE']

/** Adds to what is recorded of a request. */
export function noteForAudit(request: FastifyRequest, added: AuditNote): void {
  request[note] = { ...request[note], ...added }
}

/**
 * Records what the routes of an app, those that are added from now on, are asked to do: every operation that
 * changes something, and those whose `config.audit` says so, before the answer is sent. Where that cannot be
 * done, the answer is that the service is unavailable. Of all other operations those are recorded that were
 * refused for want of credentials, scopes or patience, up to a limit for each client.
 *
 * An operation is known by its `operationId`; routes without one are passed on, and recorded where they arrive.
 */
export function auditRoutes(app: App, store: () => ObjectStore): void {
  const refusals = new RefusalLimit()
  app.decorateRequest(note)
  app.decorateRequest(isRecorded)

  app.addHook('onSend', async (request, reply, payload) => {
    const sort = request[isRecorded] === true ? undefined : sortOf(request, reply, payload)
    if (sort === undefined) return payload
    request[isRecorded] = true
    try {
      await record(store(), sort === 'refused' ? refusals : undefined, eventOf(request, reply, payload))
      return payload
    } catch (error) {
      request.log.error({ err: error }, 'The audit record cannot be written.')
      // What says already that the service is unavailable tells more of the reason.
      const stands = sort === 'refused' || reply.statusCode === unavailableStatus
      return stands ? payload : refuse(request, reply, payload)
    }
  })
}

/**
 * Records a request whose answer goes past Fastify, before that begins.
 * @throws ProblemError `audit-unavailable`
 */
export async function recordNow(
  store: ObjectStore,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  try {
    request[isRecorded] = true
    await appendRecord(store, eventOf(request, reply, undefined))
  } catch (error) {
    throw unavailable(error)
  }
}

/**
 * Whether a request is recorded in any case, or, as a refused one, up to a limit: when it was refused for want of
 * credentials, scopes or patience, and when nobody is known to have made it.
 */
function sortOf(
  request: FastifyRequest,
  { statusCode }: FastifyReply,
  payload: unknown,
): 'recorded' | 'refused' | undefined {
  if (request.is404) return undefined
  const { config, schema } = request.routeOptions
  // A problem that another service answered is in its own record.
  if ([401, 403, 429].includes(statusCode) && typeof payload === 'string') return 'refused'
  const isAudited = config.audit ?? mutating.includes(request.method)
  if (!isAudited || operationOf(schema) === undefined) return undefined
  return projectOf(request) === undefined ? 'refused' : 'recorded'
}

async function record(
  store: ObjectStore,
  limit: RefusalLimit | undefined,
  event: Omit<AuditRecord, 'id' | 'at'>,
): Promise<void> {
  const suppressed = limit === undefined ? 0 : limit.admit(event.principal?.subject ?? event.client)
  if (suppressed === undefined) return
  await appendRecord(store, suppressed === 0 ? event : { ...event, suppressed })
}

/** The project in which a request acts, where that is known. */
function projectOf(request: FastifyRequest): ProjectRef | undefined {
  return knownPrincipal(request) ?? request[note]?.project
}

function eventOf(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Omit<AuditRecord, 'id' | 'at'> {
  const principal = knownPrincipal(request)
  const known = request[note]
  const project = projectOf(request)
  const answer = typeof payload === 'string' ? parseObject(payload) : {}
  const problem = reply.statusCode >= 400 ? problemOf(answer) : undefined
  return {
    ...(project === undefined ? {} : { tenant: project.tenant, project: project.project }),
    ...(principal === undefined
      ? {}
      : { principal: { subject: principal.subject, name: principal.name, role: principal.role } }),
    action: operationOf(request.routeOptions.schema) ?? `${request.method} ${request.routeOptions.url ?? ''}`,
    object: objectOf(request, reply, answer),
    outcome: { status: reply.statusCode, ...(problem === undefined ? {} : { problem }) },
    ...(known?.download === undefined ? {} : { download: known.download }),
    client: request.ip,
    requestId: request.id,
  }
}

/**
 * `/v1/artifacts/:id/download-urls/:urlId` is about `artifacts`, what is before the first parameter; that one; and
 * the last one as a part of it.
 */
function objectOf(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: Readonly<Record<string, unknown>>,
): AuditRecord['object'] {
  const { url = '' } = request.routeOptions
  const segments = url.split('/').slice(2)
  const isParameter = (segment: string) => segment.startsWith(':')
  const first = segments.findIndex(isParameter)
  const type = segments.slice(0, first === -1 ? undefined : first).join('/')
  const params = request.params as Readonly<Record<string, unknown>>
  const values = segments.filter(isParameter).flatMap((segment) => {
    const value = params[segment.slice(1)]
    return typeof value === 'string' ? [value.slice(0, 256)] : []
  })
  const [id = createdId(reply, answer), part] = values
  return { type, ...(id === undefined ? {} : { id }), ...(part === undefined ? {} : { part }) }
}

/** What the answer calls the thing that was made. */
function createdId(reply: FastifyReply, answer: Readonly<Record<string, unknown>>): string | undefined {
  if (reply.statusCode >= 300) return undefined
  const location = reply.getHeader('location')
  if (typeof location === 'string') return location.slice(location.lastIndexOf('/') + 1)
  const { id } = answer
  return typeof id === 'string' ? id : undefined
}

function problemOf({ type }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof type === 'string' ? type.slice(type.lastIndexOf(':') + 1) : undefined
}

function operationOf(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || !('operationId' in schema)) return undefined
  return typeof schema.operationId === 'string' ? schema.operationId : undefined
}

function parseObject(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function unavailable(cause: unknown): ProblemError {
  return new ProblemError(
    'audit-unavailable',
    'What was asked for cannot be recorded, and is not answered. If it was to change something, it may have been changed.',
    { cause, headers: { 'retry-after': '5' } },
  )
}

/** The answer in place of one that is not recorded. */
function refuse(request: FastifyRequest, reply: FastifyReply, payload: unknown): string {
  if (payload instanceof Readable) payload.destroy()
  const problem = unavailable(undefined)
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
  void reply.code(problems[problem.code].status).headers(problem.headers).type('application/problem+json')
  return JSON.stringify(toProblem(problem, `urn:edgesmith:request:${request.id}`))
}
