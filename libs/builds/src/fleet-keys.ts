import { projectName, type ProjectRef } from '@edgesmith/contract/project'

const prefix = 'edgesmith'

/** Keys of fleets in Redis. */
export const fleetKey = {
  /** Hash: `json` (what is told of it but for its state), `canceled` and `complete`, `1` once so. */
  record: (id: string) => `${prefix}:fleet:${id}`,
  /** Sorted set of all ids, with score 0: UUIDs version 7 sort by time as text. */
  all: `${prefix}:fleets`,
  /** Those of one project. */
  own: (project: ProjectRef) => `${prefix}:project:${projectName(project)}:fleets`,
  /** Set of the ids whose job is not done. */
  open: `${prefix}:fleets:open`,
  /** Sorted set of the ids of a fleet's builds, in the order of its sites. */
  builds: (id: string) => `${prefix}:fleet:${id}:builds`,
  /** Those of them that are in a state. */
  state: (id: string, state: string) => `${prefix}:fleet:${id}:builds:${state}`,
  /** Hash of SHA-256 by build, of ISOs whose checksum was computed after they were made. */
  checksums: (id: string) => `${prefix}:fleet:${id}:checksums`,
} as const
