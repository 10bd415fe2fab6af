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

/** How long the secret that a rotation replaces can go on being accepted, in seconds: a week. */
const maximumGraceSeconds = 7 * 86_400

const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  description: 'What the key is for.',
  examples: ['ci'],
})

const scopesField = Type.Optional(
  Type.Array(Scope, {
    minItems: 1,
    uniqueItems: true,
    description: 'The only scopes of its role that the key has; all of them when left out.',
  }),
)

/** Body of `POST /v1/keys`. */
export const NewApiKey = Type.Object(
  {
    name: Name,
    role: Role,
    scopes: scopesField,
    project: Type.Optional({
      ...ProjectId,
      description:
        'The only project the key is for; all of the tenant when left out, or that of the credentials where they are for one.',
    }),
    expiresAt: Type.Optional({ ...Timestamp, description: 'When the key ends; never when left out.' }),
    tenant: Type.Optional({
      ...TenantId,
      description: 'Whose key it is, where that is another tenant; asks for `tenants:write`.',
    }),
  },
  {
    title: 'NewApiKey',
    additionalProperties: false,
    examples: [{ name: 'ci', role: 'builder', project: 'stores', expiresAt: '2027-03-14T00:00:00.000Z' }],
  },
)

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

/** An API key with its text, as it is shown once. */
export const ApiKeyWithText = Type.Object(
  {
    ...description,
    key: Type.String({
      description: 'The key itself, for `Authorization: Bearer`. It is shown now and never again.',
    }),
  },
  {
    title: 'ApiKeyWithText',
    additionalProperties: false,
    examples: [{ ...example, key: `esk_4f1c2ab9d07e6635_${'0123456789abcdef'.repeat(4)}` }],
  },
)

/** Body of `POST /v1/keys/{keyId}/rotate`. */
export const ApiKeyRotation = Type.Object(
  {
    graceSeconds: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: maximumGraceSeconds,
      description: 'How long the secret that is replaced is accepted still, in seconds.',
    }),
  },
  { title: 'ApiKeyRotation', additionalProperties: false, examples: [{ graceSeconds: 3600 }] },
)

/** Query of `GET /v1/keys`. */
export const ApiKeyQuery = Type.Object(
  {
    tenant: Type.Optional({
      ...TenantId,
      description: 'Whose keys, where that is another tenant; asks for `tenants:read`.',
    }),
    limit: Type.Integer({ default: 100, minimum: 1, maximum: 1000, description: 'Most keys of a page.' }),
    cursor: Type.Optional({ ...ApiKeyId, description: '`nextCursor` of the page before.' }),
  },
  { additionalProperties: false },
)

/** Answer of `GET /v1/keys`. */
export const ApiKeyPage = Type.Object(
  {
    items: Type.Array(ApiKey),
    nextCursor: Type.Optional(Type.String({ description: 'Cursor of the next page; left out on the last.' })),
  },
  { title: 'ApiKeyPage', additionalProperties: false, examples: [{ items: [example] }] },
)

export type ApiKey = Static<typeof ApiKey>
export type NewApiKey = Static<typeof NewApiKey>
export type ApiKeyWithText = Static<typeof ApiKeyWithText>
export type ApiKeyQuery = Static<typeof ApiKeyQuery>
export type ApiKeyPage = Static<typeof ApiKeyPage>
