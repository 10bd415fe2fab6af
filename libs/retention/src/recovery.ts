import { recordKey } from '@edgesmith/artifacts/artifacts'
import { readAccepted } from '@edgesmith/builds/accepted-build'
import { readArchivedBuild, readArchivedReservation, readLastEventId } from '@edgesmith/builds/build-archive'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { isEnd } from '@edgesmith/builds/build-state'
import { readFleetArchive } from '@edgesmith/builds/fleet-archive'
import { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { restoreKey } from '@edgesmith/builds/idempotency'
import type { Build } from '@edgesmith/contract/build'
import type { ProjectRef } from '@edgesmith/contract/project'
import { fleetObject, readFleet, siteBuild, type FleetRecord } from '@edgesmith/fleets/fleet-record'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import type { Redis } from 'ioredis'
import { concurrently } from './concurrently.ts'
import { idIn } from './facts.ts'

/** Records that are read at a time. */
const atOnce = 32

/** What a recovery brought back; what was there already is not counted. */
export type RecoveryReport = {
  /** Builds at their end, and builds that are queued. */
  ended: number
  queued: number
  fleets: number
  /** Keys of records that cannot be understood, and why. */
  readonly failed: { readonly key: string; readonly reason: string }[]
}

export type RecoveryParts = { readonly redis: Redis; readonly stores: ProjectStores }

/** A build as the object store has it. */
type Found = { readonly build: Build; readonly lastEventId: string | undefined }

/**
 * Brings the builds and fleets of projects back into a Redis that has lost them, from their records in the object
 * store: ended ones as they are archived, accepted ones that have not ended queued at their attempt. What Redis
 * has is left as it is: a recovery that broke off can be run again, several may run at the same time, and the
 * service may work meanwhile. The jobs of queued builds and open fleets are made by the workers, which look for
 * those that have none. Aborting the signal breaks the recovery off.
 */
export async function recoverProjects(
  { redis, stores }: RecoveryParts,
  projects: readonly ProjectRef[],
  { now = new Date(), signal }: { now?: Date; signal?: AbortSignal } = {},
): Promise<RecoveryReport> {
  const report: RecoveryReport = { ended: 0, queued: 0, fleets: 0, failed: [] }
  for (const project of projects) {
    const recovery = new ProjectRecovery({ redis, store: stores.of(project), report, now, signal })
    await recovery.run()
  }
  return report
}

class ProjectRecovery {
  readonly #redis: Redis
  readonly #store: ObjectStore
  readonly #repository: BuildRepository
  readonly #report: RecoveryReport
  readonly #now: Date
  readonly #signal: AbortSignal | undefined
  /** Artifacts that have a record. */
  readonly #artifacts = new Set<string>()
  /** Builds that have records of their own. */
  readonly #known = new Set<string>()

  constructor({
    redis,
    store,
    report,
    now,
    signal,
  }: {
    redis: Redis
    store: ObjectStore
    report: RecoveryReport
    now: Date
    signal: AbortSignal | undefined
  }) {
    this.#redis = redis
    this.#store = store
    this.#repository = new BuildRepository(redis)
    this.#report = report
    this.#now = now
    this.#signal = signal
  }

  async run(): Promise<void> {
    for await (const { key } of this.#store.list('artifacts/')) {
      if (key === recordKey(idIn(key))) this.#artifacts.add(idIn(key))
    }
    for await (const { key } of this.#store.list('builds/')) this.#known.add(idIn(key))
    await concurrently([...this.#known], atOnce, (id) =>
      this.#unlessFailed(`builds/${id}`, () => this.#recoverBuild(id)),
    )
    const fleets: string[] = []
    for await (const { key } of this.#store.list('fleets/')) {
      if (key === fleetObject.record(idIn(key))) fleets.push(idIn(key))
    }
    for (const id of fleets) {
      await this.#unlessFailed(fleetObject.record(id), () => this.#recoverFleet(id))
    }
  }

  async #unlessFailed(key: string, recover: () => Promise<void>): Promise<void> {
    this.#signal?.throwIfAborted()
    try {
      await recover()
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#report.failed.push({ key, reason: error.message })
    }
  }

  async #recoverBuild(id: string): Promise<void> {
    const archived = await readArchivedBuild(this.#store, id)
    const accepted = await readAccepted(this.#store, id)
    const build = chooseBuild(archived, accepted?.build, (artifact) => this.#artifacts.has(artifact))
    if (build === undefined) {
      // Of a fleet's build the fleet may know more.
      if (archived?.fleet === undefined) return
      this.#known.delete(id)
      return
    }
    await this.#restore({ build, lastEventId: await readLastEventId(this.#store, id) })
    const reservation = accepted?.reservation ?? (await readArchivedReservation(this.#store, id))
    if (reservation === undefined) return
    await restoreKey(this.#redis, reservation, { usedAt: new Date(build.createdAt), now: this.#now })
  }

  async #recoverFleet(id: string): Promise<void> {
    const record = await readFleet(this.#store, id)
    if (record === undefined) return
    for await (const { build, events } of readFleetArchive(this.#store, id)) {
      if (this.#known.has(build.id)) continue
      this.#known.add(build.id)
      // One whose files are gone was deleted.
      if (!build.artifacts.every((artifact) => this.#artifacts.has(artifact.id))) continue
      await this.#restore({ build, lastEventId: events.at(-1)?.id })
    }
    await concurrently(record.sites, atOnce, async (site) => {
      this.#signal?.throwIfAborted()
      if (this.#known.has(site.buildId)) return
      await this.#restore({ build: siteBuild(record, site), lastEventId: undefined })
    })
    await this.#restoreFleet(record)
    const { reservation, createdAt } = record
    if (reservation === undefined) return
    await restoreKey(this.#redis, reservation, { usedAt: new Date(createdAt), now: this.#now })
  }

  async #restoreFleet({ id, tenant, project, name, createdAt, sites }: FleetRecord): Promise<void> {
    const fleets = new FleetRepository(this.#redis)
    const [open] = await fleets.listBuilds(id, { state: 'queued', limit: 1 })
    const isCanceled = (await this.#store.stat(fleetObject.canceled(id))) !== undefined
    const summary = { id, tenant, project, ...(name === undefined ? {} : { name }), createdAt }
    const isRestored = await fleets.restore(
      { ...summary, sites: sites.length },
      { isOpen: open !== undefined, isCanceled },
    )
    if (isRestored) this.#report.fleets += 1
  }

  async #restore({ build, lastEventId }: Found): Promise<void> {
    if (!(await this.#repository.restore(build, this.#now, lastEventId))) return
    if (isEnd(build.state)) this.#report.ended += 1
    else this.#report.queued += 1
  }
}

/**
 * What is true of a build of which there are these records. Undefined where it was about to be deleted, and where a
 * worker that had lost it archived an end that never came.
 */
export function chooseBuild(
  archived: Build | undefined,
  accepted: Build | undefined,
  hasArtifact: (id: string) => boolean,
): Build | undefined {
  const isWhole = archived?.artifacts.every(({ id }) => hasArtifact(id)) === true
  if (archived !== undefined && isWhole && archived.attempt >= (accepted?.attempt ?? 0)) return archived
  return accepted
}

/** Whether an object does not hold what it should, and not that it could not be read now. */
function isDamage(error: unknown): error is Error {
  return (
    error instanceof SyntaxError || (error instanceof Error && error.message.includes('does not hold what'))
  )
}
