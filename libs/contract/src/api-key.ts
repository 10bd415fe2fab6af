import { Type, type Static } from 'typebox'
import { Role, Scope } from './access.ts'
import { Timestamp } from './identifiers.ts'
import { ProjectId, TenantId } from './project.ts'

/** Identifier of an API key: the part of its text that is no secret. */
export const ApiKeyId = Type.String({
  pattern: '^[0-9a-f]{16}$',
  description: 'Identifier of an API key.',
  examples: ['4f1c2ab9d07e6635'],
})

const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  description: 'What the key is for.',
  examples: ['ci'],
})

const description = {
  id: ApiKeyId,
  name: Name,
  tenant: TenantId,
  project: Type.Optional(ProjectId),
  role: Role,
  scopes: Type.Array(Scope, { description: 'What the key may be used for.' }),
  createdAt: Timestamp,
  createdBy: Type.String({ description: '`subject` of whoever created it; `configuration` for a setting.' }),
  expiresAt: Type.Optional(Timestamp),
  rotatedAt: Type.Optional(Timestamp),
  graceUntil: Type.Optional({
    ...Timestamp,
    description: 'Until when the secret before the last rotation is accepted as well.',
  }),
  revokedAt: Type.Optional(Timestamp),
}
const example = {
  id: '4f1c2ab9d07e6635',
  name: 'ci',
  tenant: 'acme',
  project: 'stores',
  role: 'viewer',
  scopes: ['builds:read'],
  createdAt: '2026-03-14T09:26:53.589Z',
  createdBy: 'key:9d07e66354f1c2ab',
}

/** An API key, without its secret. */
export const ApiKey = Type.Object(description, {
  title: 'ApiKey',
  additionalProperties: false,
  examples: [example],
})

/** One page of the keys of a tenant. */
export const ApiKeyPage = Type.Object(
  {
    items: Type.Array(ApiKey),
    nextCursor: Type.Optional(Type.String({ description: 'Cursor of the next page; left out on the last.' })),
  },
  { title: 'ApiKeyPage', additionalProperties: false, examples: [{ items: [example] }] },
)

export type ApiKey = Static<typeof ApiKey>
export type ApiKeyPage = Static<typeof ApiKeyPage>
