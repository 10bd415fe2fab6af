import type { ProjectRef } from '@edgesmith/contract/project'
import type { ObjectStore } from './object-store.ts'
import { prefixedStore } from './prefixed-store.ts'

/** Beginning of the keys of a project's objects. */
export function projectPrefix({ tenant, project }: ProjectRef): string {
  return `projects/${tenant}/${project}/`
}

/**
 * The part of an object store that is a project's own: whoever has it reaches no other project's objects,
 * whatever key it asks for.
 */
export class ProjectStores {
  readonly #store: ObjectStore
  readonly #opened = new Map<string, ObjectStore>()

  constructor(store: ObjectStore) {
    this.#store = store
  }

  /** The store of a project: the same object for the same project. */
  of(project: ProjectRef): ObjectStore {
    const prefix = projectPrefix(project)
    let opened = this.#opened.get(prefix)
    if (opened === undefined) this.#opened.set(prefix, (opened = prefixedStore(this.#store, prefix)))
    return opened
  }
}
