import { ProblemError } from '@edgesmith/contract/problem'
import { defaultProject, defaultTenant, type ProjectRef } from '@edgesmith/contract/project'
import {
  maximumProjects,
  Tenant,
  type NewTenant,
  type TenantChange,
  type TenantPage,
} from '@edgesmith/contract/tenant'
import { Timestamp } from '@edgesmith/contract/identifiers'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { noVersion, readVersioned, writeVersioned, type Versioned } from '@edgesmith/store/versioned-json'
import { Type, type Static } from 'typebox'
import type { RecordCache } from './record-cache.ts'

const prefix = 'identity/tenants/'

/** A tenant as it is stored. One that was removed leaves its record, so that its name is not used again. */
const TenantRecord = Type.Object({ tenant: Tenant, removedAt: Type.Optional(Timestamp) })
type TenantRecord = Static<typeof TenantRecord>

const defaultWeight = 10

/** All tenants. */
export async function listTenants(store: ObjectStore): Promise<Tenant[]> {
  const records = await Promise.all((await listIds(store)).map((id) => readRecord(store, id)))
  return records.flatMap((record) =>
    record === undefined || record.value.removedAt !== undefined ? [] : [record.value.tenant],
  )
}

/** All projects of all tenants, those that are being removed as well. */
export async function listProjects(store: ObjectStore): Promise<ProjectRef[]> {
  return (await listTenants(store)).flatMap(({ id, projects }) =>
    projects.map((project) => ({ tenant: id, project: project.id })),
  )
}

/** Makes the tenant that there always is, where it is missing. */
export async function ensureDefaultTenant(store: ObjectStore): Promise<void> {
  const tenant = newTenant({ id: defaultTenant, name: 'Default' })
  await writeVersioned(store, prefixOf(defaultTenant), { value: { tenant }, version: noVersion })
}

/** The tenants of the service and their projects. */
export class Tenants {
  readonly #store: ObjectStore
  readonly #cache: RecordCache

  constructor({ store, cache }: { store: ObjectStore; cache: RecordCache }) {
    this.#store = store
    this.#cache = cache
  }

  /** A tenant, undefined where there is none. May be as old as the cache lets it be while Redis is away. */
  async find(id: string): Promise<Tenant | undefined> {
    const record = await this.#cache.read(cacheName(id), TenantRecord, () => readRecord(this.#store, id))
    return record === undefined || record.removedAt !== undefined ? undefined : record.tenant
  }

  /** @throws ProblemError `tenant-not-found` */
  async require(id: string): Promise<Tenant> {
    return (await this.find(id)) ?? notFound(id)
  }

  /** One page of the tenants, by their identifiers. */
  async list({ limit, cursor = '' }: { limit: number; cursor?: string | undefined }): Promise<TenantPage> {
    const items: Tenant[] = []
    for (const id of (await listIds(this.#store)).sort()) {
      const record = id > cursor ? (await readRecord(this.#store, id))?.value : undefined
      if (record === undefined || record.removedAt !== undefined) continue
      const last = items.at(-1)
      if (items.length === limit && last !== undefined) return { items, nextCursor: last.id }
      items.push(record.tenant)
    }
    return { items }
  }

  /** @throws ProblemError `tenant-exists`, for one that was removed as well */
  async create(given: NewTenant): Promise<Tenant> {
    const tenant = newTenant(given)
    const written = { value: { tenant }, version: noVersion }
    if (!(await writeVersioned(this.#store, prefixOf(tenant.id), written))) {
      throw new ProblemError(
        'tenant-exists',
        `There is a tenant ${tenant.id}, or there was one: identifiers of tenants are not used again.`,
      )
    }
    await this.#cache.replace(cacheName(tenant.id), { ...written, version: noVersion + 1 })
    return tenant
  }

  /** @throws ProblemError `tenant-not-found` */
  change(id: string, { name, weight, limits }: TenantChange): Promise<Tenant> {
    return this.#update(id, (tenant) => ({
      ...tenant,
      name: name ?? tenant.name,
      weight: weight ?? tenant.weight,
      limits: limits ?? tenant.limits,
    }))
  }

  /**
   * Removes a tenant that has no projects any more: its credentials are refused from now on.
   * @throws ProblemError `tenant-not-found`, `tenant-in-use` when it is the default one or has projects
   */
  async remove(id: string): Promise<void> {
    if (id === defaultTenant) throw new ProblemError('tenant-in-use', 'The default tenant stays.')
    await this.#updateRecord(id, ({ tenant }) => {
      if (tenant.projects.length > 0) {
        throw new ProblemError(
          'tenant-in-use',
          `The tenant ${id} has the projects ${tenant.projects.map((project) => project.id).join(', ')}.`,
        )
      }
      return { tenant, removedAt: new Date().toISOString() }
    })
  }

  /** @throws ProblemError `tenant-not-found`, `project-exists`, `too-many-projects` */
  async addProject({ tenant: id, project }: ProjectRef, name?: string): Promise<Tenant> {
    return this.#update(id, (tenant) => {
      if (tenant.projects.some((known) => known.id === project)) {
        throw new ProblemError('project-exists', `The tenant ${id} has a project ${project}.`)
      }
      if (tenant.projects.length >= maximumProjects) {
        throw new ProblemError(
          'too-many-projects',
          `The tenant ${id} has ${maximumProjects} projects, the most that there may be; delete one first.`,
        )
      }
      const added = {
        id: project,
        ...(name === undefined ? {} : { name }),
        createdAt: new Date().toISOString(),
      }
      return { ...tenant, projects: [...tenant.projects, added] }
    })
  }

  /**
   * Closes a project, so that no request reaches it any more, or opens it again.
   * @throws ProblemError `tenant-not-found`, `project-not-found`
   */
  async markProject({ tenant: id, project }: ProjectRef, { removing }: { removing: boolean }): Promise<void> {
    await this.#update(id, (tenant) => {
      if (!tenant.projects.some((known) => known.id === project)) projectNotFound(project)
      return {
        ...tenant,
        projects: tenant.projects.map(({ removing: _before, ...known }) =>
          known.id === project && removing ? { ...known, removing: true as const } : known,
        ),
      }
    })
  }

  /** Takes a project whose objects are gone off its tenant. Once more does no harm. */
  async dropProject({ tenant: id, project }: ProjectRef): Promise<void> {
    await this.#update(id, (tenant) => ({
      ...tenant,
      projects: tenant.projects.filter((known) => known.id !== project),
    }))
  }

  async #update(id: string, update: (tenant: Tenant) => Tenant): Promise<Tenant> {
    const { tenant } = await this.#updateRecord(id, (record) => ({ tenant: update(record.tenant) }))
    return tenant
  }

  /** Changes a record by compare-and-set, as often as another writer is first. */
  async #updateRecord(id: string, update: (record: TenantRecord) => TenantRecord): Promise<TenantRecord> {
    for (;;) {
      const read = await readRecord(this.#store, id)
      if (read === undefined || read.value.removedAt !== undefined) return notFound(id)
      const value = update(read.value)
      if (!(await writeVersioned(this.#store, prefixOf(id), { value, version: read.version }))) continue
      await this.#cache.replace(cacheName(id), { value, version: read.version + 1 })
      return value
    }
  }
}

/** @throws ProblemError `project-not-found` */
export function projectNotFound(project: string): never {
  throw new ProblemError('project-not-found', `There is no project ${project}, or not for these credentials.`)
}

function notFound(id: string): never {
  throw new ProblemError('tenant-not-found', `There is no tenant ${id}.`)
}

function newTenant({ id, name, weight = defaultWeight, limits = {} }: NewTenant): Tenant {
  const createdAt = new Date().toISOString()
  return { id, name, weight, limits, projects: [{ id: defaultProject, createdAt }], createdAt }
}

/** The identifiers of all tenants, removed ones as well. */
async function listIds(store: ObjectStore): Promise<string[]> {
  const ids = new Set<string>()
  for await (const { key } of store.list(prefix)) ids.add(key.slice(prefix.length).split('/', 1)[0] ?? '')
  return [...ids]
}

function readRecord(store: ObjectStore, id: string): Promise<Versioned<TenantRecord> | undefined> {
  return readVersioned(store, prefixOf(id), TenantRecord)
}

function prefixOf(id: string): string {
  return `${prefix}${id}/`
}

function cacheName(id: string): string {
  return `tenant:${id}`
}
