import { Type, type Static } from 'typebox'

const slug = '^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$'

/** Identifier of a tenant: an organization whose builds, keys and limits are its own. */
export const TenantId = Type.String({
  pattern: slug,
  description: 'Identifier of a tenant: lowercase letters, digits and `-`, at most 40.',
  examples: ['acme'],
})

/** Identifier of a project within its tenant. */
export const ProjectId = Type.String({
  pattern: slug,
  description: 'Identifier of a project within its tenant: lowercase letters, digits and `-`, at most 40.',
  examples: ['stores'],
})

/** A project of a tenant. Every object of the service but keys, tenants and audit records belongs to one. */
export const ProjectRef = Type.Object(
  { tenant: TenantId, project: ProjectId },
  { additionalProperties: false },
)

/** The project that every tenant has. */
export const defaultProject = 'default'

/** The tenant that there is from the first start on: that of the bootstrap key. */
export const defaultTenant = 'default'

/** The project of something that belongs to one. */
export function projectOf({ tenant, project }: ProjectRef): ProjectRef {
  return { tenant, project }
}

/** Whether something belongs to a project. */
export function isOfProject(thing: ProjectRef, { tenant, project }: ProjectRef): boolean {
  return thing.tenant === tenant && thing.project === project
}

/** A project in one word, as keys and URLs have it: no two have the same. */
export function projectName({ tenant, project }: ProjectRef): string {
  return `${tenant}/${project}`
}

/** The project of such a word; undefined for any other text. */
export function parseProjectName(name: string): ProjectRef | undefined {
  const [tenant = '', project = '', ...rest] = name.split('/')
  return rest.length === 0 && isSlug(tenant) && isSlug(project) ? { tenant, project } : undefined
}

function isSlug(text: string): boolean {
  return new RegExp(slug).test(text)
}

export type TenantId = Static<typeof TenantId>
export type ProjectId = Static<typeof ProjectId>
export type ProjectRef = Static<typeof ProjectRef>
