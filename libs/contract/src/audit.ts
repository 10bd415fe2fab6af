import { Type, type Static } from 'typebox'
import { Role } from './access.ts'
import { Cursor, NextCursor, Timestamp } from './identifiers.ts'
import { TenantId } from './project.ts'

const example = {
  id: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
  at: '2026-03-14T09:26:53.589Z',
  tenant: 'acme',
  project: 'stores',
  principal: { subject: 'key:0123456789abcdef', name: 'ci', role: 'builder' },
  action: 'createBuild',
  object: { type: 'builds', id: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11' },
  outcome: { status: 202 },
  client: '203.0.113.7',
  requestId: '5d2f1c0e-6a94-4f0e-9d7e-0f3a1b2c4d5e',
} as const

/** One thing that somebody did, or was kept from doing. It has no secret in it. */
export const AuditRecord = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'Identifier of the record (UUID version 7).' }),
    at: Timestamp,
    tenant: Type.Optional(TenantId),
    project: Type.Optional(Type.String()),
    principal: Type.Optional(
      Type.Object(
        { subject: Type.String(), name: Type.String(), role: Role },
        {
          additionalProperties: false,
          description:
            'Who made the request; left out where it had no valid credentials, or was by a signed URL.',
        },
      ),
    ),
    action: Type.String({ description: 'The `operationId` of the operation.', examples: ['createBuild'] }),
    object: Type.Object(
      {
        type: Type.String({ description: 'The collection that it is in.', examples: ['builds'] }),
        id: Type.Optional(Type.String({ description: 'Its identifier, where it has one.' })),
        part: Type.Optional(Type.String({ description: 'The part of it that was meant.' })),
      },
      { additionalProperties: false },
    ),
    outcome: Type.Object(
      {
        status: Type.Integer({ minimum: 100, maximum: 599, description: 'HTTP status code of the answer.' }),
        problem: Type.Optional(
          Type.String({ description: 'Code of the problem that was answered.', examples: ['forbidden'] }),
        ),
      },
      { additionalProperties: false },
    ),
    download: Type.Optional(
      Type.Object(
        {
          grant: Type.Optional(Type.String({ description: 'The signed URL that it was by.' })),
          range: Type.Optional(Type.String({ description: 'The `Range` that was asked for.' })),
          bytes: Type.Integer({ minimum: 0, description: 'How many bytes were about to be sent.' }),
        },
        { additionalProperties: false },
      ),
    ),
    client: Type.String({ description: 'Address of the client.' }),
    requestId: Type.String({ description: 'Identifier of the request, as in the service log.' }),
    suppressed: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'How many like it were refused before this one, and are not recorded by themselves.',
      }),
    ),
  },
  { title: 'AuditRecord', additionalProperties: false, examples: [example] },
)

export type AuditRecord = Static<typeof AuditRecord>

const filters = {
  from: Type.Optional(
    Type.String({ format: 'date-time', description: 'Since when; a day before `to` when left out.' }),
  ),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'Until when; now when left out.' })),
  subject: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: 'Who did it.' })),
  action: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'What was done.' })),
  object: Type.Optional(
    Type.String({ minLength: 1, maxLength: 256, description: 'Identifier of what it was done to.' }),
  ),
  tenant: Type.Optional(
    Type.Union([TenantId, Type.Literal('_')], {
      description:
        'Whose record; for others than the own tenant the scope `tenants:read` is needed. `_` has requests without valid credentials.',
    }),
  ),
}

/** Query of `GET /v1/audit/export`. */
export const AuditQuery = Type.Object(filters, { additionalProperties: false })

/** Query of `GET /v1/audit`. */
export const ListAuditQuery = Type.Object(
  {
    ...filters,
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Records in a page.' }),
    cursor: Type.Optional(Cursor),
  },
  { additionalProperties: false },
)

/** One page of the audit record, oldest first. */
export const AuditPage = Type.Object(
  {
    items: Type.Array(AuditRecord),
    nextCursor: Type.Optional(NextCursor),
  },
  { title: 'AuditPage', additionalProperties: false, examples: [{ items: [example] }] },
)

export type AuditQuery = Static<typeof AuditQuery>
