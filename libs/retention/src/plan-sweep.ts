import { dataKey, recordKey } from '@edgesmith/artifacts/artifacts'
import { baseKey } from '@edgesmith/bases/base-store'
import type { RetentionPolicies } from '@edgesmith/contract/retention'
import { fleetObject } from '@edgesmith/fleets/fleet-record'
import type { ObjectEntry } from '@edgesmith/store/object-store'
import { entryKey, uploadUseKey } from '@edgesmith/uploads/upload-use'
import { idIn, type Facts } from './facts.ts'
import { orphanMs, type RetentionSettings } from './settings.ts'
import { ageOf, whatStays, type Stay } from './what-stays.ts'

export type RemovalKind = 'build' | 'artifact' | 'base' | 'upload' | 'fleet' | 'object'

/** Something that goes. */
export type Removal = {
  readonly kind: RemovalKind
  /** Identifier; of a single object its key. */
  readonly id: string
  /** Its objects, in the order in which they are to be removed. */
  readonly keys: readonly string[]
  /** Size of those objects. */
  readonly bytes: number
  /** The policy that says so, of a build. */
  readonly policy?: string
}

/** What goes, and which marks of removals are void. */
export type Plan = {
  readonly removals: readonly Removal[]
  /** Keys of the marks of what stays: an earlier run died, or something has come to refer to it. */
  readonly marks: readonly string[]
}

/** Decides what goes. Pure: of the same facts it says the same. */
export function planSweep(
  facts: Facts,
  policies: RetentionPolicies,
  settings: RetentionSettings,
  now: Date,
): Plan {
  const stay = whatStays(facts, policies, settings, now)
  const planner = { facts, stay, now }
  const removals = [
    ...planBuilds(planner),
    ...planArtifacts(planner),
    ...planFleets(planner),
    ...planBases(planner),
    ...planUploads(planner),
    ...planDigests(planner),
  ]
  const marks = [
    ...[...stay.bases].map((id) => baseKey.condemned(id)),
    ...[...stay.uploads].map((id) => uploadUseKey.condemned(id)),
  ].filter((key) => facts.objects.has(key))
  return { removals, marks }
}

type Planner = { readonly facts: Facts; readonly stay: Stay; readonly now: Date }

function planBuilds({ facts, stay, now }: Planner): Removal[] {
  const removals: Removal[] = []
  const archives = groupById(facts, 'builds/')
  for (const [id, policy] of stay.doomed) {
    removals.push({ ...removal(facts, 'build', id, keysOf(archives.get(id))), policy })
  }
  for (const [id, archive] of archives) {
    if (stay.builds.has(id) || stay.doomed.has(id) || !areOld(archive, now)) continue
    removals.push(...archive.map(({ key }) => removal(facts, 'object', key, [key])))
  }
  return removals
}

function planArtifacts({ facts, stay, now }: Planner): Removal[] {
  const removals: Removal[] = []
  for (const [id, stored] of groupById(facts, 'artifacts/')) {
    const keys = keysOf(stored).filter((key) => !stay.objects.has(key))
    if (facts.artifacts.has(id)) {
      if (!stay.artifacts.has(id)) {
        removals.push(removal(facts, 'artifact', id, ordered(keys, [recordKey(id)], [])))
        continue
      }
      // What materializing left unfinished. A stamp's own bytes stay as long as their artifact.
      const left = keys.filter((key) => key !== recordKey(id) && key !== dataKey(id))
      if (facts.leased.has(id)) continue
      for (const key of left) {
        if (ageOf(facts, key, now) >= orphanMs) removals.push(removal(facts, 'object', key, [key]))
      }
    } else if (!facts.leased.has(id) && (facts.dismissed.has(id) || areOld(stored, now))) {
      removals.push(...keys.map((key) => removal(facts, 'object', key, [key])))
    }
  }
  return removals
}

function planFleets({ facts, stay, now }: Planner): Removal[] {
  const removals: Removal[] = []
  for (const [id, stored] of groupById(facts, 'fleets/')) {
    const keys = keysOf(stored).filter((key) => !stay.objects.has(key))
    if (facts.fleets.has(id)) {
      if (stay.fleets.has(id)) continue
      removals.push(removal(facts, 'fleet', id, ordered(keys, [fleetObject.record(id)], [])))
    } else if (areOld(stored, now)) {
      removals.push(...keys.map((key) => removal(facts, 'object', key, [key])))
    }
  }
  return removals
}

function planBases({ facts, stay, now }: Planner): Removal[] {
  const removals: Removal[] = []
  const byId = groupById(facts, 'bases/')
  for (const [id, stored] of byId) {
    if (id === 'by-layers' || id === 'by-root') continue
    const base = facts.bases.get(id)
    const keys = keysOf(stored).filter((key) => !stay.objects.has(key))
    if (base !== undefined) {
      if (stay.bases.has(id)) continue
      const layers = baseKey.byLayers(base.layersKey)
      const index = [
        baseKey.byRoot(base.rootKey, id),
        ...(facts.layers.get(layers) === id ? [layers] : []),
      ].filter((key) => facts.objects.has(key))
      const all = ordered([...index, ...keys], [...index, baseKey.record(id)], [baseKey.condemned(id)])
      removals.push(removal(facts, 'base', id, all))
    } else if (facts.objects.has(baseKey.condemned(id)) || areOld(stored, now)) {
      const all = ordered(keys, [], [baseKey.condemned(id)])
      removals.push(...all.map((key) => removal(facts, 'object', key, [key])))
    }
  }
  const stale = [
    ...(byId.get('by-root') ?? []).filter(
      ({ key }) => !facts.bases.has(key.split('/')[3]?.slice(0, -5) ?? ''),
    ),
    ...(byId.get('by-layers') ?? []).filter(({ key }) => !facts.bases.has(facts.layers.get(key) ?? '')),
  ]
  for (const entry of stale) {
    if (areOld([entry], now)) removals.push(removal(facts, 'object', entry.key, [entry.key]))
  }
  return removals
}

function planUploads({ facts, stay, now }: Planner): Removal[] {
  const removals: Removal[] = []
  for (const [id, objectKey] of facts.uploads) {
    if (stay.uploads.has(id)) continue
    const keys = [objectKey, entryKey(id), uploadUseKey.used(id), uploadUseKey.condemned(id)]
    removals.push(
      removal(
        facts,
        'upload',
        id,
        keys.filter((key) => facts.objects.has(key)),
      ),
    )
  }
  const named = new Set([...facts.uploads.values(), ...facts.resumables, ...stay.objects])
  const marks = new Set(
    [...facts.uploads.keys()].flatMap((id) => [uploadUseKey.used(id), uploadUseKey.condemned(id)]),
  )
  for (const { key } of facts.objects.values()) {
    const isOldData = key.startsWith('uploads/data/') && !named.has(key) && ageOf(facts, key, now) >= orphanMs
    const isOldUse = key.startsWith('uploads/used/') && !marks.has(key) && ageOf(facts, key, now) >= orphanMs
    // Nobody but the run that died would go on with that removal.
    const isDeadMark = key.startsWith('uploads/condemned/') && !marks.has(key)
    if (isOldData || isOldUse || isDeadMark) removals.push(removal(facts, 'object', key, [key]))
  }
  return removals
}

/** What is known of the bytes that an ETag names goes with the last artifact that has it. */
function planDigests({ facts, stay, now }: Planner): Removal[] {
  const etags = new Set([...stay.artifacts].map((id) => facts.artifacts.get(id)?.etag))
  return [...groupById(facts, 'digests/'), ...groupById(facts, 'contents/')]
    .filter(([name, stored]) => !etags.has(name.slice(0, -'.json'.length)) && areOld(stored, now))
    .flatMap(([, stored]) => stored.map(({ key }) => removal(facts, 'object', key, [key])))
}

function groupById({ objects }: Facts, prefix: string): Map<string, ObjectEntry[]> {
  const groups = new Map<string, ObjectEntry[]>()
  for (const entry of objects.values()) {
    if (!entry.key.startsWith(prefix)) continue
    const id = idIn(entry.key)
    const group = groups.get(id)
    if (group === undefined) groups.set(id, [entry])
    else group.push(entry)
  }
  return groups
}

function keysOf(stored: readonly ObjectEntry[] = []): string[] {
  return stored.map(({ key }) => key)
}

function areOld(stored: readonly ObjectEntry[], now: Date): boolean {
  return stored.every(({ modifiedAt }) => now.getTime() - modifiedAt.getTime() >= orphanMs)
}

function ordered(keys: readonly string[], first: readonly string[], last: readonly string[]): string[] {
  const rank = (key: string) =>
    first.includes(key) ? first.indexOf(key) - first.length : last.includes(key) ? 1 : 0
  return [...keys].sort((a, b) => rank(a) - rank(b))
}

function removal(facts: Facts, kind: RemovalKind, id: string, keys: readonly string[]): Removal {
  const bytes = keys.reduce((sum, key) => sum + (facts.objects.get(key)?.size ?? 0), 0)
  return { kind, id, keys, bytes }
}
