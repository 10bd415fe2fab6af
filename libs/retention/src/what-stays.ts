import { recordKey } from '@edgesmith/artifacts/artifacts'
import { baseKey } from '@edgesmith/bases/base-store'
import { isEnd } from '@edgesmith/builds/build-state'
import type { ContentId } from '@edgesmith/contract/identifiers'
import type { RetentionPolicies } from '@edgesmith/contract/retention'
import { fleetObject } from '@edgesmith/fleets/fleet-record'
import { entryKey, uploadUseKey } from '@edgesmith/uploads/upload-use'
import { idIn, type BuildFact, type Facts, type FleetFact } from './facts.ts'
import { buildsToDelete } from './policies.ts'
import { orphanMs, type RetentionSettings } from './settings.ts'

/** What is to stay, by identifier. */
export type Stay = {
  readonly builds: ReadonlySet<string>
  /** Builds that go, and the policy that says so. */
  readonly doomed: ReadonlyMap<string, string>
  readonly artifacts: ReadonlySet<string>
  readonly bases: ReadonlySet<string>
  readonly fleets: ReadonlySet<string>
  readonly uploads: ReadonlySet<ContentId>
  /** Objects that the images of what stays are made of. */
  readonly objects: ReadonlySet<string>
}

/** Tells what stays: what the policies let live, what that refers to, and what is too young to be judged. */
export function whatStays(
  facts: Facts,
  policies: RetentionPolicies,
  settings: RetentionSettings,
  now: Date,
): Stay {
  const doomed = doomedBuilds(facts, policies, now)
  const builds = facts.builds.filter(({ id }) => !doomed.has(id))
  const artifacts = keptArtifacts(facts, builds, doomed, now)
  const objects = new Set<string>()
  for (const id of artifacts) for (const key of facts.artifacts.get(id)?.objects ?? []) objects.add(key)
  const bases = keptBases(facts, objects, settings, now)
  const fleets = keptFleets(facts, builds, objects, now)
  const uploads = keptUploads(facts, { builds, objects }, settings, now)
  return { builds: new Set(builds.map(({ id }) => id)), doomed, artifacts, bases, fleets, uploads, objects }
}

/** A build one of whose artifacts is being downloaded stays. */
function doomedBuilds(
  { builds, leased }: Facts,
  policies: RetentionPolicies,
  now: Date,
): Map<string, string> {
  const doomed = buildsToDelete(builds, policies, now)
  for (const { id, artifacts } of builds) {
    if (artifacts.some((artifact) => leased.has(artifact))) doomed.delete(id)
  }
  return doomed
}

/**
 * An artifact stays with its build, while it is downloaded, and while it is too young: its build may be about
 * to list it. Those of a build that has not ended may be listed at its end.
 */
function keptArtifacts(
  facts: Facts,
  builds: readonly BuildFact[],
  doomed: ReadonlyMap<string, string>,
  now: Date,
): Set<string> {
  const byId = new Map(builds.map((build) => [build.id, build]))
  const kept = new Set<string>()
  for (const [id, { buildId }] of facts.artifacts) {
    const build = byId.get(buildId)
    const isListed = build !== undefined && (!isEnd(build.state) || build.artifacts.includes(id))
    const isYoung = ageOf(facts, recordKey(id), now) < orphanMs && !doomed.has(buildId)
    if (isListed || isYoung || facts.leased.has(id)) kept.add(id)
  }
  return kept
}

/** A base stays while an image that stays is made of its objects, and as a cache for a while. */
function keptBases(
  { bases, artifacts, objects: stored }: Facts,
  objects: Set<string>,
  { baseUnusedMs }: RetentionSettings,
  now: Date,
): Set<string> {
  // One that an artifact refers to is in use until now, though the artifact may be about to go.
  const inUse = new Set([...artifacts.values()].flatMap((artifact) => basesOf(artifact.objects)))
  const pending = [...basesOf(objects)]
  for (const [id, { createdAt }] of bases) {
    const used = stored.get(baseKey.used(id))?.modifiedAt.getTime() ?? 0
    const lastUse = inUse.has(id) ? now.getTime() : Math.max(Date.parse(createdAt), used)
    if (now.getTime() - lastUse < baseUnusedMs) pending.push(id)
  }
  const kept = new Set<string>()
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const base = bases.get(id)
    if (base === undefined || kept.has(id)) continue
    kept.add(id)
    for (const key of base.objects) objects.add(key)
    pending.push(...basesOf(base.objects))
  }
  return kept
}

/** The bases whose objects these are. */
export function basesOf(objects: Iterable<string>): string[] {
  const ids = new Set<string>()
  for (const key of objects) if (key.startsWith('bases/')) ids.add(idIn(key))
  return [...ids]
}

/** A fleet stays while it has a build or is about to get its builds, and while an image refers to its pack. */
function keptFleets(
  { fleets }: Facts,
  builds: readonly BuildFact[],
  objects: ReadonlySet<string>,
  now: Date,
): Set<string> {
  const ids = new Set(builds.map(({ id }) => id))
  const kept = new Set<string>()
  for (const [id, fleet] of fleets) {
    if (
      isBegun(fleet, now) ||
      fleet.builds.some((build) => ids.has(build)) ||
      objects.has(fleetObject.pack(id))
    )
      kept.add(id)
  }
  return kept
}

/** True while the builds of a fleet are being made, or may be. */
function isBegun({ isOpen, createdAt }: FleetFact, now: Date): boolean {
  return isOpen || now.getTime() - Date.parse(createdAt) < orphanMs
}

/**
 * An upload stays while an image is made of its bytes, while a build has it that may run (also one that may be
 * retried), while a fleet is about to get such builds, and until it has not been used for a while.
 */
function keptUploads(
  facts: Facts,
  { builds, objects }: { builds: readonly BuildFact[]; objects: ReadonlySet<string> },
  { uploadUnusedMs }: RetentionSettings,
  now: Date,
): Set<ContentId> {
  const needed = new Set(builds.flatMap(({ state, uploads }) => (state === 'succeeded' ? [] : uploads)))
  for (const fleet of facts.fleets.values()) {
    if (isBegun(fleet, now)) for (const id of fleet.uploads) needed.add(id)
  }
  const kept = new Set<ContentId>()
  for (const [id, objectKey] of facts.uploads) {
    const unused = Math.min(ageOf(facts, entryKey(id), now), ageOf(facts, uploadUseKey.used(id), now))
    const isInUse = needed.has(id) || objects.has(objectKey) || unused < uploadUnusedMs
    if (isInUse) kept.add(id)
  }
  return kept
}

/** How long ago an object was written, in milliseconds; endless for one that is not there. */
export function ageOf({ objects }: Facts, key: string, now: Date): number {
  const stored = objects.get(key)
  return stored === undefined ? Number.POSITIVE_INFINITY : now.getTime() - stored.modifiedAt.getTime()
}
