import type { Build, BuildState } from '@edgesmith/contract/build'
import type { Fleet, FleetPage, FleetState, ListFleetsQuery } from '@edgesmith/contract/fleet'
import { ProblemError } from '@edgesmith/contract/problem'
import { isOfProject, projectName, type ProjectRef } from '@edgesmith/contract/project'
import type { Redis } from 'ioredis'
import { recordKey } from './build-keys.ts'
import { fleetKey } from './fleet-keys.ts'
import { usedReservationSeconds, type Reservation } from './idempotency.ts'
import { whileAvailable } from './redis-connection.ts'
import { Wholeness } from './wholeness.ts'

/** What is told of a fleet besides what becomes of its builds. */
export type FleetSummary = Pick<Fleet, 'id' | 'tenant' | 'project' | 'name' | 'createdAt' | 'sites'>

const states = [
  'queued',
  'running',
  'succeeded',
  'failed',
  'canceled',
  'timed-out',
] as const satisfies readonly BuildState[]

/** Records that are read in one go. */
const batch = 500

export type ListBuildsOptions = {
  readonly state?: BuildState | undefined
  /** Only builds behind this one. */
  readonly after?: string | undefined
  readonly limit: number
}

/**
 * Fleets in Redis. Their builds are found by indexes that are kept in the same step as the records of
 * the builds. Every method throws `upstream-unavailable` when Redis is away, and where it cannot tell, see
 * `BuildRepository`.
 */
export class FleetRepository {
  readonly #redis: Redis
  readonly #wholeness: Wholeness
  readonly #project: ProjectRef | undefined

  /** The fleets of all projects, for workers; with `project` those of one, as `within` gives them. */
  constructor(redis: Redis, wholeness = new Wholeness(), project?: ProjectRef) {
    this.#redis = redis
    this.#wholeness = wholeness
    this.#project = project
  }

  /** The fleets of one project: those of others are not found, whatever is asked. */
  within(project: ProjectRef): FleetRepository {
    return new FleetRepository(this.#redis, this.#wholeness, project)
  }

  /**
   * Stores a new fleet, for whose builds a job is to be done. With the reservation of an `Idempotency-Key`,
   * the key answers this fleet from now on.
   */
  async create(summary: FleetSummary, reservation?: Reservation): Promise<void> {
    const { id } = summary
    if (!this.#has(summary)) throw new TypeError(`The fleet ${id} is of ${projectName(summary)}.`)
    const step = this.#redis
      .multi()
      .hset(fleetKey.record(id), 'json', JSON.stringify(summary))
      .zadd(fleetKey.all, 0, id)
      .zadd(fleetKey.own(summary), 0, id)
      .sadd(fleetKey.open, id)
    if (reservation !== undefined) {
      step.hset(reservation.key, 'used', '1').expire(reservation.key, usedReservationSeconds)
    }
    await whileAvailable(() => step.exec())
  }

  /** Brings back a fleet that this Redis has lost, with all of its builds. False where there is a record of it. */
  async restore(
    summary: FleetSummary,
    { isOpen, isCanceled }: { isOpen: boolean; isCanceled: boolean },
  ): Promise<boolean> {
    const { id } = summary
    const key = fleetKey.record(id)
    if ((await whileAvailable(() => this.#redis.hexists(key, 'json'))) === 1) return false
    const step = this.#redis.multi().zadd(fleetKey.all, 0, id).zadd(fleetKey.own(summary), 0, id)
    if (isOpen) step.sadd(fleetKey.open, id)
    if (isCanceled) step.hset(key, 'canceled', '1')
    step.hset(key, 'complete', '1', 'json', JSON.stringify(summary))
    await whileAvailable(() => step.exec())
    return true
  }

  /** All builds of the fleet have been created. */
  async complete(id: string): Promise<void> {
    await whileAvailable(() => this.#redis.hset(fleetKey.record(id), 'complete', '1'))
  }

  /** Whether all builds of the fleet have been created, and whether a client canceled it; undefined for no fleet. */
  readFlags(id: string): Promise<{ isComplete: boolean; isCanceled: boolean } | undefined> {
    return this.#wholeness.find(async () => {
      const [json, complete, canceled] = await whileAvailable(() =>
        this.#redis.hmget(fleetKey.record(id), 'json', 'complete', 'canceled'),
      )
      return typeof json === 'string' && this.#has(JSON.parse(json) as FleetSummary)
        ? { isComplete: complete === '1', isCanceled: canceled === '1' }
        : undefined
    })
  }

  /** What is told of a fleet but for its builds, if there is one. */
  find(id: string): Promise<FleetSummary | undefined> {
    return this.#wholeness.find(async () => {
      const json = await whileAvailable(() => this.#redis.hget(fleetKey.record(id), 'json'))
      const summary = json === null ? undefined : (JSON.parse(json) as FleetSummary)
      return summary !== undefined && this.#has(summary) ? summary : undefined
    })
  }

  /** A fleet with the state that its builds give it. Throws `fleet-not-found`. */
  async get(id: string): Promise<Fleet> {
    const fleet = await this.#wholeness.find(async () => (await this.#getAll([id]))[0])
    if (fleet === undefined) throw fleetNotFound(id)
    return fleet
  }

  /** One page of fleets, newest first. */
  list(query: ListFleetsQuery): Promise<FleetPage> {
    return this.#wholeness.during(() => this.#list(query))
  }

  async #list({ limit, cursor }: ListFleetsQuery): Promise<FleetPage> {
    const max = cursor === undefined ? '+' : `(${cursor}`
    const index = this.#project === undefined ? fleetKey.all : fleetKey.own(this.#project)
    const ids = await whileAvailable(() => this.#redis.zrevrangebylex(index, max, '-', 'LIMIT', 0, limit + 1))
    const found = await this.#getAll(ids.slice(0, limit))
    const last = ids[limit - 1]
    return {
      items: found.filter((fleet) => fleet !== undefined),
      ...(ids.length > limit && last !== undefined ? { nextCursor: last } : {}),
    }
  }

  /**
   * Keeps in mind that the fleet is to be canceled, for its job to do.
   * @throws ProblemError `fleet-not-found`, `state-conflict` when all builds have ended
   */
  async cancel(id: string): Promise<Fleet> {
    const fleet = await this.get(id)
    if (fleet.builds.queued + fleet.builds.running === 0) {
      throw new ProblemError('state-conflict', `The fleet has ended already (${fleet.state}).`)
    }
    await whileAvailable(() =>
      this.#redis.multi().hset(fleetKey.record(id), 'canceled', '1').sadd(fleetKey.open, id).exec(),
    )
    return fleet
  }

  /** Fleets whose job is not done. */
  async listOpen(): Promise<string[]> {
    return whileAvailable(() => this.#redis.smembers(fleetKey.open))
  }

  /** The job of the fleet is done: its builds are like any others now. */
  async close(id: string): Promise<void> {
    await whileAvailable(() => this.#redis.srem(fleetKey.open, id))
  }

  /** Builds of the fleet, in the order of its sites. */
  listBuilds(id: string, options: ListBuildsOptions): Promise<Build[]> {
    return this.#wholeness.during(() => this.#listBuilds(id, options))
  }

  async #listBuilds(id: string, { state, after, limit }: ListBuildsOptions): Promise<Build[]> {
    const index = state === undefined ? fleetKey.builds(id) : fleetKey.state(id, state)
    const min = after === undefined ? '-' : `(${after}`
    const ids = await whileAvailable(() => this.#redis.zrangebylex(index, min, '+', 'LIMIT', 0, limit))
    const records = await whileAvailable(() =>
      Promise.all(ids.map((buildId) => this.#redis.hget(recordKey(buildId), 'json'))),
    )
    return records
      .flatMap((json) => (json === null ? [] : [JSON.parse(json) as Build]))
      .filter((build) => this.#has(build))
  }

  /** All builds of the fleet, in the order of its sites. */
  async *builds(id: string, { state }: { state?: BuildState } = {}): AsyncGenerator<Build> {
    let after: string | undefined
    for (;;) {
      const page = await this.listBuilds(id, { state, after, limit: batch })
      yield* page
      after = page.at(-1)?.id
      if (after === undefined) return
    }
  }

  /** Keeps the checksum of a build's ISO. */
  async keepChecksum(id: string, buildId: string, sha256: string): Promise<void> {
    await whileAvailable(() => this.#redis.hset(fleetKey.checksums(id), buildId, sha256))
  }

  /** The checksums that were computed so far, by build. */
  async checksums(id: string): Promise<Record<string, string>> {
    return whileAvailable(() => this.#redis.hgetall(fleetKey.checksums(id)))
  }

  /** Forgets a fleet whose builds have been removed. */
  async remove(id: string): Promise<void> {
    const json = await whileAvailable(() => this.#redis.hget(fleetKey.record(id), 'json'))
    const summary = json === null ? undefined : (JSON.parse(json) as FleetSummary)
    if (summary !== undefined && !this.#has(summary)) return
    const project = summary ?? this.#project
    const step = this.#redis
      .multi()
      .del(fleetKey.record(id), fleetKey.checksums(id))
      .zrem(fleetKey.all, id)
      .srem(fleetKey.open, id)
    if (project !== undefined) step.zrem(fleetKey.own(project), id)
    await whileAvailable(() => step.exec())
  }

  #has(thing: ProjectRef): boolean {
    return this.#project === undefined || isOfProject(thing, this.#project)
  }

  async #getAll(ids: readonly string[]): Promise<(Fleet | undefined)[]> {
    return whileAvailable(() =>
      Promise.all(
        ids.map(async (id) => {
          const [json, ...counts] = await Promise.all([
            this.#redis.hget(fleetKey.record(id), 'json'),
            ...states.map((state) => this.#redis.zcard(fleetKey.state(id, state))),
          ])
          const summary = json === null ? undefined : (JSON.parse(json) as FleetSummary)
          if (summary === undefined || !this.#has(summary)) return undefined
          const builds = Object.fromEntries(
            states.map((state, index) => [state, counts[index] ?? 0]),
          ) as Fleet['builds']
          return { ...summary, state: stateOf(builds), builds }
        }),
      ),
    )
  }
}

/** The state of a fleet, from those of its builds. */
export function stateOf(builds: Fleet['builds']): FleetState {
  const ended = builds.succeeded + builds.failed + builds.canceled + builds['timed-out']
  if (builds.running > 0) return 'running'
  if (builds.queued > 0 || ended === 0) return ended > 0 ? 'running' : 'queued'
  if (builds.failed + builds['timed-out'] > 0) return 'failed'
  return builds.canceled > 0 ? 'canceled' : 'succeeded'
}

export function fleetNotFound(id: string): ProblemError {
  return new ProblemError('fleet-not-found', `There is no fleet ${id}.`)
}
