import type { Build } from '@edgesmith/contract/build'
import type { ContentId } from '@edgesmith/contract/identifiers'
import type { ObjectEntry } from '@edgesmith/store/object-store'

/** What retention has to know of a build. */
export type BuildFact = Pick<Build, 'id' | 'state' | 'target' | 'labels' | 'createdAt' | 'endedAt'> & {
  readonly uploads: readonly ContentId[]
  readonly artifacts: readonly string[]
}

/** The record of an artifact; `objects` are the keys that its image is made of. */
export type ArtifactFact = {
  readonly buildId: string
  readonly etag: string
  readonly objects: readonly string[]
}

/** The record of a base; `objects` are the keys that its image is made of, its own among them. */
export type BaseFact = {
  readonly rootKey: string
  readonly layersKey: string
  readonly createdAt: string
  readonly objects: readonly string[]
}

export type FleetFact = {
  readonly createdAt: string
  /** Whether its builds are still being made. */
  readonly isOpen: boolean
  readonly builds: readonly string[]
  readonly uploads: readonly ContentId[]
}

/** All that decides what goes and what stays, as it was at one time. */
export type Facts = {
  readonly builds: readonly BuildFact[]
  /** What is in the store below the prefixes that retention looks after, by key. */
  readonly objects: ReadonlyMap<string, ObjectEntry>
  readonly artifacts: ReadonlyMap<string, ArtifactFact>
  readonly bases: ReadonlyMap<string, BaseFact>
  /** Where each entry of the index by layers leads, by the entry's key. */
  readonly layers: ReadonlyMap<string, string>
  /** The object of each entry of the catalogue, by content id. */
  readonly uploads: ReadonlyMap<ContentId, string>
  /** Objects of resumable uploads. */
  readonly resumables: ReadonlySet<string>
  readonly fleets: ReadonlyMap<string, FleetFact>
  /** Artifacts that are being downloaded. */
  readonly leased: ReadonlySet<string>
  /** Artifacts whose records this run removed: their objects need no age to go. */
  readonly dismissed: ReadonlySet<string>
}

/** The identifier in a key such as `artifacts/<id>/data`. */
export function idIn(key: string): string {
  return key.split('/')[1] ?? ''
}
