import { ProblemError } from '@edgesmith/contract/problem'
import { defaultProject, defaultTenant, type ProjectRef } from '@edgesmith/contract/project'
import type { Tenants } from '@edgesmith/identity/tenants'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { ProjectStores } from '@edgesmith/store/project-stores'

/**
 * What clients have put into a project, and where it is in the project's part of the store. All else there is
 * made of these, or kept to make them faster. Artifacts go with their builds.
 */
const holdings = [
  ['builds', 'builds/'],
  ['fleets', 'fleets/'],
  ['uploads', 'uploads/by-digest/'],
  ['unfinished uploads', 'uploads/resumable/'],
  ['secrets', 'secrets/'],
] as const

type Parts = { readonly identity: { readonly tenants: Tenants }; readonly stores: ProjectStores }

/**
 * Removes a project that holds nothing any more. It is closed first, so that nothing comes into it meanwhile but
 * from requests that were let in before. Should this break off the project stays closed, and can be removed again.
 * @throws ProblemError `project-in-use`, for the one that every tenant has as well, `project-not-found`
 */
export async function removeProject(parts: Parts, project: ProjectRef): Promise<void> {
  if (project.project === defaultProject) {
    throw new ProblemError('project-in-use', `Every tenant has the project ${defaultProject}.`)
  }
  const held = await findHoldings(parts.stores.of(project))
  if (held.length > 0) throw inUse(project, held)
  await emptyProject(parts, project)
}

/**
 * Removes a tenant whose projects hold nothing any more, with them.
 * @throws ProblemError `tenant-in-use`, for the default one as well, `tenant-not-found`
 */
export async function removeTenant(parts: Parts, id: string): Promise<void> {
  const { stores } = parts
  const { tenants } = parts.identity
  const { projects } = await tenants.require(id)
  if (id !== defaultTenant) {
    const refs = projects.map((project): ProjectRef => ({ tenant: id, project: project.id }))
    const full: string[] = []
    for (const ref of refs) if ((await findHoldings(stores.of(ref))).length > 0) full.push(ref.project)
    if (full.length > 0) {
      throw new ProblemError(
        'tenant-in-use',
        `Projects of the tenant ${id} hold something: ${full.join(', ')}.`,
      )
    }
    for (const ref of refs) await emptyProject(parts, ref)
  }
  await tenants.remove(id)
}

async function emptyProject({ identity, stores }: Parts, project: ProjectRef): Promise<void> {
  const { tenants } = identity
  await tenants.markProject(project, { removing: true })
  const store = stores.of(project)
  const held = await findHoldings(store)
  if (held.length > 0) {
    await tenants.markProject(project, { removing: false })
    throw inUse(project, held)
  }
  for await (const { key } of store.list('')) await store.remove(key)
  await tenants.dropProject(project)
}

async function findHoldings(store: ObjectStore): Promise<string[]> {
  const held: string[] = []
  for (const [what, prefix] of holdings) if (await hasAny(store, prefix)) held.push(what)
  return held
}

async function hasAny(store: ObjectStore, prefix: string): Promise<boolean> {
  for await (const _object of store.list(prefix)) return true
  return false
}

function inUse({ project }: ProjectRef, held: readonly string[]): ProblemError {
  return new ProblemError(
    'project-in-use',
    `The project ${project} holds ${held.join(', ')}; delete them first.`,
  )
}
