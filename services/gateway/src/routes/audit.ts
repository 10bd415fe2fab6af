import { Readable } from 'node:stream'
import { nobody, toLine } from '@edgesmith/audit/audit-log'
import { readRecords } from '@edgesmith/audit/records'
import { AuditPage, AuditQuery, ListAuditQuery, type AuditRecord } from '@edgesmith/contract/audit'
import type { Principal } from '@edgesmith/contract/access'
import { ProblemError } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type } from 'typebox'
import type { GatewayContext } from '../context.ts'

const dayMs = 86_400_000
/** Longest time that one request can ask for, in milliseconds. */
const longestMs = 400 * dayMs
/** Records that are looked at for one page: those of today and yesterday are read one by one. */
export const mostLooked = 2000

/** The routes of `/v1/audit`: who did what to which object. */
export function auditRecordRoutes(app: App, context: GatewayContext): void {
  app.get(
    '/v1/audit',
    {
      config: { scope: 'audit:read' },
      schema: {
        operationId: 'listAuditRecords',
        tags: ['audit'],
        summary: 'List who did what to which object',
        description:
          'Every operation that changes something, every download, and what was refused for want of credentials or scopes; of all projects of the tenant, the oldest first. For one page 2,000 records are looked at: with `subject`, `action` or `object` it can have fewer items than `limit`, or none, and yet a `nextCursor`.',
        querystring: ListAuditQuery,
        response: {
          200: { description: 'A page of records.', content: { 'application/json': { schema: AuditPage } } },
          ...problemResponses('invalid-parameter'),
        },
      },
    },
    async (request) => {
      const { limit, cursor, ...query } = request.query
      const isWanted = wantedBy(query)
      const items: AuditRecord[] = []
      let looked = 0
      let nextCursor = ''
      for await (const record of select(context.stores.whole, request.principal, query, cursor)) {
        if (items.length === limit || looked === mostLooked) return { items, nextCursor }
        looked += 1
        nextCursor = record.id
        if (isWanted(record)) items.push(record)
      }
      return { items }
    },
  )

  app.get(
    '/v1/audit/export',
    {
      exposeHeadRoute: false,
      config: { scope: 'audit:read', audit: true },
      schema: {
        operationId: 'exportAuditRecords',
        tags: ['audit'],
        summary: 'Export who did what to which object',
        description: 'The same as one text: a record of JSON in each line.',
        querystring: AuditQuery,
        response: {
          200: {
            description: 'The records, the oldest first.',
            content: { 'application/x-ndjson': { schema: Type.Unsafe<Readable>(Type.String()) } },
          },
          ...problemResponses('invalid-parameter'),
        },
      },
    },
    async (request, reply) => {
      const records = select(context.stores.whole, request.principal, request.query)
      const text = lines(records, wantedBy(request.query))
      return reply.type('application/x-ndjson').send(Readable.from(text))
    },
  )
}

async function* lines(
  records: AsyncIterable<AuditRecord>,
  isWanted: (record: AuditRecord) => boolean,
): AsyncGenerator<string> {
  for await (const record of records) if (isWanted(record)) yield toLine(record)
}

/** The records of the tenant and time that a query names. @throws ProblemError `forbidden`, `invalid-parameter` */
function select(
  store: ObjectStore,
  principal: Principal,
  query: AuditQuery,
  after?: string,
): AsyncGenerator<AuditRecord> {
  const { tenant = principal.tenant } = query
  if (tenant !== principal.tenant && !principal.scopes.includes('tenants:read')) {
    throw new ProblemError(
      'forbidden',
      `The record of ${tenant === nobody ? 'requests without credentials' : 'other tenants'} is for who has the scope tenants:read.`,
    )
  }
  const to = query.to === undefined ? new Date() : new Date(query.to)
  const from = query.from === undefined ? new Date(to.getTime() - dayMs) : new Date(query.from)
  if (to.getTime() - from.getTime() > longestMs) {
    throw new ProblemError(
      'invalid-parameter',
      `From ${from.toISOString()} to ${to.toISOString()} are more than 400 days.`,
    )
  }
  return readRecords(store, { tenant, from, to, after })
}

/** Whether a record is what a query looks for in those of its tenant and time. */
function wantedBy({ subject, action, object }: AuditQuery): (record: AuditRecord) => boolean {
  return (record) =>
    (subject === undefined || record.principal?.subject === subject) &&
    (action === undefined || record.action === action) &&
    (object === undefined || record.object.id === object || record.object.part === object)
}
