import type { ProjectRef } from '@edgesmith/contract/project'
import type { ObjectStore } from './object-store.ts'
import { prefixedStore } from './prefixed-store.ts'

/** Beginning of the keys of a project's objects. */
export function projectPrefix({ tenant, project }: ProjectRef): string {
  return `projects/${tenant}/${project}/`
}

/** Whose an object of a whole store is, undefined for one that is no project's. */
export function projectOfKey(key: string): ProjectRef | undefined {
  const { tenant, project } = /^projects\/(?<tenant>[^/]+)\/(?<project>[^/]+)\//.exec(key)?.groups ?? {}
  return tenant === undefined || project === undefined ? undefined : { tenant, project }
}

/**
 * The part of an object store that is a project's own: whoever has it reaches no other project's objects,
 * whatever key it asks for.
 */
export class ProjectStores {
  /** The whole store: for what is no project's, and for whoever looks after all of it. */
  readonly whole: ObjectStore
  readonly #opened = new Map<string, ObjectStore>()

  constructor(store: ObjectStore) {
    this.whole = store
  }

  /** The store of a project: the same object for the same project. */
  of(project: ProjectRef): ObjectStore {
    const prefix = projectPrefix(project)
    let opened = this.#opened.get(prefix)
    if (opened === undefined) this.#opened.set(prefix, (opened = prefixedStore(this.whole, prefix)))
    return opened
  }
}
