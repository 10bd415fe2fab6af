import { Type, type Static } from 'typebox'
import { Timestamp } from './identifiers.ts'
import { ProjectId, TenantId } from './project.ts'

const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  description: 'What people call it.',
  examples: ['Acme'],
})

const atLeastOne = (description: string, maximum = Number.MAX_SAFE_INTEGER) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum, description }))

/** What a tenant may take of the service. What is left out is not limited for the tenant. */
export const TenantLimits = Type.Object(
  {
    queuedBuilds: atLeastOne('Builds that wait at a time.', 1_000_000),
    runningBuilds: atLeastOne('Builds that run at a time.', 100_000),
    requestsPerMinute: atLeastOne('Requests to the API in a minute.', 10_000_000),
    uploadsAtOnce: atLeastOne('Uploads under way at a time.', 100_000),
    uploadBytes: atLeastOne('What the uploads of all projects may hold together, in bytes.'),
  },
  {
    title: 'TenantLimits',
    additionalProperties: false,
    examples: [{ queuedBuilds: 1000, runningBuilds: 2 }],
  },
)

const Weight = Type.Integer({
  minimum: 1,
  maximum: 100,
  description: 'Share of the workers, beside the weights of the other tenants that have builds waiting.',
})

/** A project as its tenant sees it. */
export const Project = Type.Object(
  {
    id: ProjectId,
    name: Type.Optional(Name),
    createdAt: Timestamp,
    removing: Type.Optional(
      Type.Literal(true, { description: 'What the project held is being deleted; no request reaches it.' }),
    ),
  },
  {
    title: 'Project',
    additionalProperties: false,
    examples: [{ id: 'stores', name: 'Stores', createdAt: '2026-03-14T09:26:53.589Z' }],
  },
)

/** An organization that uses the service, with its projects. */
export const Tenant = Type.Object(
  {
    id: TenantId,
    name: Name,
    weight: Weight,
    limits: TenantLimits,
    projects: Type.Array(Project),
    createdAt: Timestamp,
  },
  {
    title: 'Tenant',
    additionalProperties: false,
    examples: [
      {
        id: 'acme',
        name: 'Acme',
        weight: 10,
        limits: { queuedBuilds: 1000 },
        projects: [{ id: 'default', createdAt: '2026-03-14T09:26:53.589Z' }],
        createdAt: '2026-03-14T09:26:53.589Z',
      },
    ],
  },
)

/** Body of `POST /v1/tenants`. */
export const NewTenant = Type.Object(
  {
    id: TenantId,
    name: Name,
    weight: Type.Optional({ ...Weight, default: 10 }),
    limits: Type.Optional(TenantLimits),
  },
  { title: 'NewTenant', additionalProperties: false, examples: [{ id: 'acme', name: 'Acme', weight: 10 }] },
)

/** Body of `PATCH /v1/tenants/{tenantId}`. */
export const TenantChange = Type.Object(
  {
    name: Type.Optional(Name),
    weight: Type.Optional(Weight),
    limits: Type.Optional({ ...TenantLimits, description: 'In place of all limits there were.' }),
  },
  {
    title: 'TenantChange',
    additionalProperties: false,
    minProperties: 1,
    examples: [{ weight: 20, limits: { runningBuilds: 4 } }],
  },
)

/** Query of `GET /v1/tenants`. */
export const TenantQuery = Type.Object(
  {
    limit: Type.Integer({ default: 100, minimum: 1, maximum: 1000, description: 'Most tenants of a page.' }),
    cursor: Type.Optional({ ...TenantId, description: '`nextCursor` of the page before.' }),
  },
  { additionalProperties: false },
)

/** Answer of `GET /v1/tenants`: one page, by their identifiers. */
export const TenantPage = Type.Object(
  {
    items: Type.Array(Tenant),
    nextCursor: Type.Optional(Type.String({ description: 'Cursor of the next page; left out on the last.' })),
  },
  { title: 'TenantPage', additionalProperties: false, examples: [{ items: [] }] },
)

/** Most projects of a tenant: they are all in its record, which every request reads. */
export const maximumProjects = 1000

/** Body of `POST /v1/projects`. */
export const NewProject = Type.Object(
  { id: ProjectId, name: Type.Optional(Name) },
  { title: 'NewProject', additionalProperties: false, examples: [{ id: 'stores', name: 'Stores' }] },
)

/** Answer of `GET /v1/projects`: all of them. */
export const ProjectList = Type.Object(
  { items: Type.Array(Project) },
  {
    title: 'ProjectList',
    additionalProperties: false,
    examples: [{ items: [{ id: 'default', createdAt: '2026-03-14T09:26:53.589Z' }] }],
  },
)

export type TenantLimits = Static<typeof TenantLimits>
export type Project = Static<typeof Project>
export type Tenant = Static<typeof Tenant>
export type NewTenant = Static<typeof NewTenant>
export type TenantChange = Static<typeof TenantChange>
export type TenantQuery = Static<typeof TenantQuery>
export type TenantPage = Static<typeof TenantPage>
export type NewProject = Static<typeof NewProject>
export type ProjectList = Static<typeof ProjectList>
