import { defaultProject, defaultTenant, type ProjectRef } from '@edgesmith/contract/project'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ProjectStores } from '@edgesmith/store/project-stores'

/** The project that tests work in, unless they say another. */
export const ownProject: ProjectRef = { tenant: defaultTenant, project: defaultProject }

/** Projects of which it must see nothing: of its tenant, and of another with the same name. */
export const otherProjects: readonly ProjectRef[] = [
  { tenant: defaultTenant, project: 'other' },
  { tenant: 'other', project: defaultProject },
]

/** The part of a store that is the project's. */
export function ownStore(store: ObjectStore): ObjectStore {
  return new ProjectStores(store).of(ownProject)
}
