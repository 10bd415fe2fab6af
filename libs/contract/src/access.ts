import { Type, type Static } from 'typebox'
import { Timestamp } from './identifiers.ts'
import { ProjectId, TenantId } from './project.ts'

/** What a credential may be used for. Each operation of the API asks for one of these. */
export const scopes = {
  'builds:read': 'See builds and fleets, their events and logs.',
  'builds:write': 'Ask for builds and fleets, cancel, retry and delete them.',
  'validations:write': 'Check inputs without a build.',
  'uploads:read': 'See uploads.',
  'uploads:write': 'Send and delete uploads.',
  'artifacts:read': 'See artifacts, their contents and provenance, and verify them.',
  'artifacts:download': 'Make signed URLs, and download; an ISO holds the secrets of its user-data.',
  'canvos:read': 'See the releases of CanvOS, and the schemas of inputs.',
  'retention:read': 'See what is kept for how long.',
  'retention:write': 'Change what is kept for how long, and remove what is not.',
  'secrets:read': 'See the names of secrets; their values are never shown.',
  'secrets:write': 'Set and delete secrets.',
  'keys:read': 'See the API keys of the tenant; their secrets are never shown.',
  'keys:write': 'Create, rotate and revoke the API keys of the tenant.',
  'projects:read': 'See the projects of the tenant.',
  'projects:write': 'Create and delete projects of the tenant.',
  'audit:read': 'Read the audit record of the tenant.',
  'tenants:read': 'See all tenants of the service.',
  'tenants:write': 'Create, change and delete tenants, and keys for them. The operator of the service.',
} as const satisfies Record<string, string>

export type Scope = keyof typeof scopes

const scopeNames = Object.keys(scopes) as Scope[]

/** One scope. */
export const Scope = Type.Enum(scopeNames, { description: 'What a credential may be used for.' })

const viewer = [
  'builds:read',
  'uploads:read',
  'artifacts:read',
  'canvos:read',
  'retention:read',
  'projects:read',
] as const satisfies readonly Scope[]
const builder = [
  ...viewer,
  'builds:write',
  'validations:write',
  'uploads:write',
  'artifacts:download',
  'secrets:read',
] as const satisfies readonly Scope[]
const admin = [
  ...builder,
  'retention:write',
  'secrets:write',
  'keys:read',
  'keys:write',
  'projects:write',
  'audit:read',
] as const satisfies readonly Scope[]

/** The scopes of each role. `operator` is an admin who also looks after the tenants of the service. */
export const scopesOfRole = {
  viewer,
  builder,
  admin,
  operator: [...admin, 'tenants:read', 'tenants:write'],
} as const satisfies Record<string, readonly Scope[]>

/** Scopes that concern a tenant as a whole, or all of them: a credential of one project has none of these. */
const beyondProjects: readonly Scope[] = ['projects:write', 'audit:read', 'tenants:read', 'tenants:write']

/** The scopes of a credential: those of its role, fewer where it names some, or where it is for one project. */
export function scopesOf(
  role: Role,
  { scopes: named, oneProject }: { scopes?: readonly Scope[] | undefined; oneProject: boolean },
): Scope[] {
  return scopesOfRole[role].filter(
    (scope) => (named?.includes(scope) ?? true) && !(oneProject && beyondProjects.includes(scope)),
  )
}

/** A role: a named set of scopes. */
export const Role = Type.Enum(['viewer', 'builder', 'admin', 'operator'], {
  description:
    '`viewer` sees, `builder` also builds and downloads, `admin` also looks after keys, secrets, projects and retention of its tenant, `operator` also after the tenants of the service.',
})

export type Role = Static<typeof Role>

/** Who makes a request, and in which project. */
export const Principal = Type.Object(
  {
    subject: Type.String({
      minLength: 1,
      maxLength: 1024,
      description: '`key:<id>` for an API key, `oidc:<issuer>#<sub>` for a bearer token of an issuer.',
    }),
    name: Type.String({
      maxLength: 500,
      description: 'What people call it: the name of the key, the `sub`.',
    }),
    tenant: TenantId,
    project: ProjectId,
    everyProject: Type.Optional(
      Type.Boolean({
        description: 'Whether the credential is for all projects of the tenant, not for this one alone.',
      }),
    ),
    role: Role,
    scopes: Type.Array(Scope, { description: 'Those of the role, or fewer.' }),
    expiresAt: Type.Optional(Timestamp),
  },
  {
    title: 'Principal',
    additionalProperties: false,
    examples: [
      {
        subject: 'key:4f1c2ab9d07e6635',
        name: 'ci',
        tenant: 'acme',
        project: 'stores',
        everyProject: false,
        role: 'viewer',
        scopes: [...viewer],
      },
    ],
  },
)

export type Principal = Static<typeof Principal>
