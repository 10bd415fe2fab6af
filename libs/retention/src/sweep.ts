import { buffer } from 'node:stream/consumers'
import { recordKey } from '@edgesmith/artifacts/artifacts'
import { isLeased } from '@edgesmith/artifacts/lease'
import { baseKey, renewBaseUse } from '@edgesmith/bases/base-store'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import type { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { ProblemError } from '@edgesmith/contract/problem'
import type { RetentionPolicies } from '@edgesmith/contract/retention'
import { fleetObject } from '@edgesmith/fleets/fleet-record'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { FactReader } from './fact-reader.ts'
import type { Facts } from './facts.ts'
import { planSweep, type Plan, type Removal } from './plan-sweep.ts'
import { readPolicies } from './policy-store.ts'
import { removeUpload } from './remove-upload.ts'
import type { RetentionSettings } from './settings.ts'
import type { SweepLock } from './sweep-lock.ts'
import type { Tally } from './tally.ts'
import { basesOf } from './what-stays.ts'

/** Where the record of an artifact is between its removal and the look for downloads that have begun. */
const dismissedPrefix = 'retention/dismissed/'
const dismissedKey = (id: string) => `${dismissedPrefix}${id}.json`

type SweepParts = {
  readonly store: ObjectStore
  readonly repository: BuildRepository
  readonly fleets: FleetRepository
  readonly settings: RetentionSettings
  readonly reader: FactReader
  readonly lock: SweepLock
  readonly tally: Tally
  readonly signal: AbortSignal
  readonly now: Date
}

/** The run was asked to end before it was through. */
export class SweepStopped extends Error {
  override name = 'SweepStopped'
}

/**
 * One run that removes things, in two rounds. The first makes what is to go unusable: records of artifacts and
 * fleets are removed, bases are marked. Then all references are read again, and only what nothing refers to by
 * then loses its bytes. Whoever makes a reference writes it first, and looks for the record or the mark
 * afterwards: so it is either seen in the second round, or taken back.
 */
export class Sweep {
  readonly #parts: SweepParts
  readonly #dismissed = new Set<string>()

  constructor(parts: SweepParts) {
    this.#parts = parts
  }

  /** @throws SweepStopped, SweepLockLost */
  async run(): Promise<void> {
    const { store, reader, settings, now } = this.#parts
    await this.#restoreDismissed()
    const { policies } = await readPolicies(store)
    const facts = await reader.read(now)
    const plan = planSweep(facts, policies, settings, now)
    try {
      await this.#dismiss(facts, plan)
      await this.#removeUnreferenced(plan, policies)
    } finally {
      if (this.#parts.signal.aborted) await this.#release(plan)
    }
  }

  async #dismiss(facts: Facts, { removals }: Plan): Promise<void> {
    const { store } = this.#parts
    const spared = await this.#deleteBuilds(facts, ofKind(removals, 'build'))
    for (const { id } of ofKind(removals, 'artifact')) {
      if (spared.has(facts.artifacts.get(id)?.buildId ?? '')) continue
      await this.#step()
      await this.#dismissArtifact(facts, id)
    }
    for (const { id } of ofKind(removals, 'fleet')) {
      await this.#step()
      await this.#parts.fleets.remove(id)
      await this.#remove('fleet', id, fleetObject.record(id), facts)
    }
    for (const id of basesOf([...facts.artifacts.values()].flatMap(({ objects }) => objects))) {
      if (facts.bases.has(id)) await renewBaseUse(store, id)
    }
    for (const { id } of ofKind(removals, 'base')) {
      await this.#step()
      await store.put(baseKey.condemned(id), Buffer.alloc(0))
    }
  }

  /** Deletes builds with their archives; the answer are those that are to stay after all. */
  async #deleteBuilds(facts: Facts, removals: readonly Removal[]): Promise<Set<string>> {
    const { store, repository, now } = this.#parts
    const artifactsOf = new Map(facts.builds.map(({ id, artifacts }) => [id, artifacts]))
    const spared = new Set<string>()
    for (const { id, keys } of removals) {
      await this.#step()
      const leased = (artifactsOf.get(id) ?? []).map((artifact) => isLeased(store, artifact, now))
      if ((await Promise.all(leased)).includes(true) || !(await deleteRecord(repository, id))) {
        spared.add(id)
        continue
      }
      this.#parts.tally.add('build', id, 0)
      for (const key of keys) await this.#remove('build', id, key, facts)
    }
    return spared
  }

  /** Removes the record of an artifact, unless somebody downloads it. */
  async #dismissArtifact(facts: Facts, id: string): Promise<void> {
    const { store, now, tally } = this.#parts
    const key = recordKey(id)
    if (await isLeased(store, id, now)) return
    const record = await buffer(await store.get(key))
    // Should this run die before it knows whether a download has begun, the next one puts the record back.
    await store.put(dismissedKey(id), record)
    await store.remove(key)
    // A download takes its lease before it reads the record.
    if (await isLeased(store, id, now)) {
      await store.put(key, record, { contentType: 'application/json' })
    } else {
      this.#dismissed.add(id)
      tally.add('artifact', id, facts.objects.get(key)?.size ?? 0)
    }
    await store.remove(dismissedKey(id))
  }

  /** Puts back the records that a run that died was about to remove. */
  async #restoreDismissed(): Promise<void> {
    const { store } = this.#parts
    for await (const { key } of store.list(dismissedPrefix)) {
      await this.#step()
      const id = key.slice(dismissedPrefix.length, -'.json'.length)
      if ((await store.stat(recordKey(id))) === undefined) {
        await store.put(recordKey(id), await buffer(await store.get(key)), {
          contentType: 'application/json',
        })
      }
      await store.remove(key)
    }
  }

  async #removeUnreferenced(first: Plan, policies: RetentionPolicies): Promise<void> {
    const { store, reader, settings, now, tally } = this.#parts
    const facts = await reader.read(now, this.#dismissed)
    const { removals, marks } = planSweep(facts, policies, settings, now)
    for (const mark of marks) {
      await this.#step()
      await store.remove(mark)
    }
    // What has only come up since is left to the next run.
    const owners = new Map(first.removals.flatMap((removal) => removal.keys.map((key) => [key, removal])))
    for (const { id, keys } of ofKind(removals, 'base')) {
      if (!facts.objects.has(baseKey.condemned(id))) continue
      await this.#step()
      for (const key of keys) await this.#remove('base', id, key, facts)
    }
    for (const { id } of ofKind(removals, 'object')) {
      const owner = owners.get(id)
      if (owner === undefined) continue
      await this.#step()
      await this.#remove(owner.kind, owner.id, id, facts)
    }
    const unusedSince = new Date(now.getTime() - settings.uploadUnusedMs)
    for (const { id, bytes } of ofKind(removals, 'upload')) {
      const objectKey = facts.uploads.get(id)
      if (objectKey === undefined) continue
      await this.#step()
      if (await removeUpload(store, { id, objectKey, unusedSince })) tally.add('upload', id, bytes)
    }
  }

  /** Takes the marks off the bases that the run did not come to. */
  async #release({ removals }: Plan): Promise<void> {
    const { store } = this.#parts
    for (const { id } of ofKind(removals, 'base')) {
      // Without its record there is nothing left to be used.
      if ((await store.stat(baseKey.record(id))) !== undefined) await store.remove(baseKey.condemned(id))
    }
  }

  async #remove(kind: Removal['kind'], id: string, key: string, facts: Facts): Promise<void> {
    await this.#parts.store.remove(key)
    this.#parts.tally.add(kind, id, facts.objects.get(key)?.size ?? 0)
  }

  /** Before each thing that is removed: whether the run is still to go on, and may. */
  async #step(): Promise<void> {
    if (this.#parts.signal.aborted) throw new SweepStopped('The run ended early.')
    await this.#parts.lock.renew()
  }
}

function ofKind(removals: readonly Removal[], kind: Removal['kind']): Removal[] {
  return removals.filter((removal) => removal.kind === kind)
}

/** False when the build is to stay: it was retried meanwhile. One that was deleted meanwhile is gone as well. */
async function deleteRecord(repository: BuildRepository, id: string): Promise<boolean> {
  try {
    await repository.remove(id)
    return true
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    if (error.code === 'build-not-found') return true
    if (error.code === 'state-conflict') return false
    throw error
  }
}
