import { randomUUID } from 'node:crypto'
import type { Build, BuildPage, ListBuildsQuery } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import { ProblemError } from '@edgesmith/contract/problem'
import { isOfProject, projectName, type ProjectRef } from '@edgesmith/contract/project'
import type { Redis } from 'ioredis'
import { changesChannel, indexKey, indexKeysOf, projectIndexKey, recordKey, streamKey } from './build-keys.ts'
import { defineBuildScripts } from './build-scripts.ts'
import { isEnd, startBuild, stateEvent } from './build-state.ts'
import { usedReservationSeconds } from './idempotency.ts'
import type { Reservation } from './idempotency.ts'
import { whileAvailable } from './redis-connection.ts'
import { Wholeness } from './wholeness.ts'

/** A record with what is needed to save it: nobody may have saved it since. */
export type StoredBuild = {
  build: Build
  revision: string
  /** Names the run of the worker that claimed the build last; empty before the first. */
  run: string
}

export type SaveOptions = {
  /** Events told along with the change, in the same step; an event without an id gets the next. */
  events?: { id?: string; event: BuildEvent }[]
  /** Only save while this run is the build's latest: keeps a worker that lost its job from writing. */
  run?: string
  /** Seconds until the stream of events expires; for ever when left out. */
  streamTtlSeconds?: number
}

/** How many records a listing looks at in one go, and at the most for one page. */
const listBatch = 100
const listLimit = 5000

/**
 * The records of builds in Redis. Every change is one atomic step that checks nobody changed the
 * record since it was read, writes it, keeps the indexes, and appends the events that tell it.
 * Every method throws `upstream-unavailable` when Redis is away, and rather than to tell what is not there or to list
 * what is while Redis does not have everything, where `wholeness` looks at that.
 */
export class BuildRepository {
  readonly #redis: Redis
  readonly #wholeness: Wholeness
  readonly #project: ProjectRef | undefined

  /** The builds of all projects, for workers; with `project` those of one, as `within` gives them. */
  constructor(redis: Redis, wholeness = new Wholeness(), project?: ProjectRef) {
    this.#redis = defineBuildScripts(redis)
    this.#wholeness = wholeness
    this.#project = project
  }

  /** The builds of one project: those of others are not found, whatever is asked. */
  within(project: ProjectRef): BuildRepository {
    return new BuildRepository(this.#redis, this.#wholeness, project)
  }

  /**
   * Stores a new build and the event that tells it. With the reservation of an `Idempotency-Key`,
   * the key answers this build from now on. `options.events` take the place of that event.
   * @throws ProblemError `idempotency-key-in-use` when the reservation has run out meanwhile,
   * `state-conflict` when there is a build of this id
   */
  async create(
    build: Build,
    at: Date,
    reservation?: Reservation,
    options: Pick<SaveOptions, 'events' | 'streamTtlSeconds'> = {},
  ): Promise<StoredBuild> {
    if (!this.#has(build)) throw new TypeError(`The build ${build.id} is of ${projectName(build)}.`)
    const [code, revision = '', run = ''] = await this.#save(build, [], '', {
      events: [{ event: stateEvent(build, at) }],
      ...options,
      ...(reservation === undefined ? {} : { reservation }),
    })
    if (code === 'saved') return { build, revision, run }
    if (code === 'exists') throw new ProblemError('state-conflict', `There is a build ${build.id} already.`)
    throw new ProblemError('idempotency-key-in-use', 'Another request with this Idempotency-Key took over.')
  }

  /**
   * Brings back a build that this Redis has lost, as it is recorded in the object store; one that is not at its end
   * is told to be queued. False where there is a record of it. Revisions go on behind any that there can have been,
   * so that a worker that still runs the build does not take it for its own.
   */
  async restore(build: Build, at: Date, lastEventId: string | undefined): Promise<boolean> {
    const keys = [recordKey(build.id), streamKey(build.id), ...indexKeysOf(build)]
    const event = isEnd(build.state) ? '' : JSON.stringify(stateEvent(build, at))
    const restored = await whileAvailable(() =>
      this.#redis.restoreBuild(
        ...[keys.length, ...keys, build.id, build.state, JSON.stringify(build)],
        ...[at.getTime(), lastEventId ?? '', event, changesChannel(build.id)],
      ),
    )
    return restored === 1
  }

  /** The record of a build. Throws `build-not-found`. */
  async get(id: string): Promise<Build> {
    return (await this.read(id)).build
  }

  /** The record of a build, if there is one. */
  async find(id: string): Promise<Build | undefined> {
    return this.#wholeness.find(async () => (await this.#getAll([id]))[0])
  }

  /** The newest build of the project that succeeded with an ISO of this identity, see `Build.key`. */
  async findByKey(key: string): Promise<Build | undefined> {
    if (this.#project === undefined) throw new TypeError('Equal ISOs are looked for within a project.')
    const index = projectIndexKey(this.#project).key(key)
    const ids = await whileAvailable(() => this.#redis.zrevrangebylex(index, '+', '-', 'LIMIT', 0, 1))
    const [build] = await this.#getAll(ids)
    return build
  }

  /** The record of a build with its revision. Throws `build-not-found`. */
  async read(id: string): Promise<StoredBuild> {
    const stored = await this.#wholeness.find(() => this.#read(id))
    if (stored === undefined || !this.#has(stored.build)) throw buildNotFound(id)
    return stored
  }

  /**
   * Saves the next record of a build, unless somebody else changed it since `previous` was read:
   * then the answer is undefined. A change of state, and a new run, is told by an event unless
   * `events` has one.
   * @throws ProblemError `build-not-found`, `state-conflict` when another run took the build over
   */
  async save(
    previous: StoredBuild,
    build: Build,
    at: Date,
    options: SaveOptions & { newRun?: boolean } = {},
  ): Promise<StoredBuild | undefined> {
    const events = [...(options.events ?? [])]
    const isTold =
      previous.build.state === build.state && previous.build.attempt === build.attempt && !options.newRun
    if (!isTold && !events.some(({ event }) => event.type === 'state')) {
      events.push({ event: stateEvent(build, at) })
    }
    const left = indexKeysOf(previous.build).filter((key) => !indexKeysOf(build).includes(key))
    const [code, revision = '', run = ''] = await this.#save(build, left, previous.revision, {
      ...options,
      events,
    })
    switch (code) {
      case 'saved':
        return { build, revision, run }
      case 'conflict':
        return undefined
      case 'missing':
        await this.#wholeness.assert()
        throw buildNotFound(build.id)
      default:
        throw superseded()
    }
  }

  /** Changes a build by a pure function of its record, again and again until nobody interferes. */
  async update(id: string, change: (build: Build) => Build, at: Date, options?: SaveOptions): Promise<Build> {
    for (;;) {
      const previous = await this.read(id)
      const saved = await this.save(previous, change(previous.build), at, options)
      if (saved !== undefined) return saved.build
    }
  }

  /**
   * A worker takes a build over: from now on only this run may write.
   * @throws ProblemError `state-conflict` when the build has ended or is at another attempt
   */
  async claim(id: string, attempt: number, at: Date): Promise<StoredBuild> {
    for (;;) {
      const previous = await this.read(id)
      if (previous.build.attempt !== attempt) {
        throw new ProblemError(
          'state-conflict',
          `The build is at attempt ${previous.build.attempt}, not ${attempt}.`,
        )
      }
      const saved = await this.save(previous, startBuild(previous.build, at), at, { newRun: true })
      if (saved !== undefined) return saved
    }
  }

  /**
   * Forgets an ended build, with its events.
   * @throws ProblemError `build-not-found`, `state-conflict` when the build has not ended
   */
  async remove(id: string): Promise<Build> {
    for (;;) {
      const { build, revision } = await this.read(id)
      if (!isEnd(build.state)) {
        throw new ProblemError(
          'state-conflict',
          `The build is ${build.state}. Cancel it before you delete it.`,
        )
      }
      const keys = [recordKey(id), streamKey(id), ...indexKeysOf(build)]
      const code = await whileAvailable(() =>
        this.#redis.removeBuild(keys.length, ...keys, revision, id, changesChannel(id)),
      )
      if (code === 'removed') return build
      if (code !== 'missing') continue
      await this.#wholeness.assert()
      throw buildNotFound(id)
    }
  }

  /**
   * One page of builds, newest first. When a filter fits only few of very many builds, a page can
   * hold fewer builds than asked, and still have a `nextCursor`.
   */
  list(query: ListBuildsQuery): Promise<BuildPage> {
    return this.#wholeness.during(() => this.#list(query))
  }

  async #list(query: ListBuildsQuery): Promise<BuildPage> {
    const index = await this.#smallestIndex(query)
    let last = query.cursor
    const items: Build[] = []
    for (let scanned = 0; scanned < listLimit; scanned += listBatch) {
      const ids = await this.#idsBefore(index, last)
      for (const build of await this.#getAll(ids)) {
        if (build === undefined || !fits(build, query)) continue
        const lastItem = items.length === query.limit ? items.at(-1) : undefined
        if (lastItem !== undefined) return { items, nextCursor: lastItem.id }
        items.push(build)
      }
      last = ids.at(-1)
      if (ids.length < listBatch || last === undefined) return { items }
    }
    return { items, ...(last === undefined ? {} : { nextCursor: last }) }
  }

  async #read(id: string): Promise<StoredBuild | undefined> {
    const [json, revision, run] = await whileAvailable(() =>
      this.#redis.hmget(recordKey(id), 'json', 'revision', 'run'),
    )
    if (typeof json !== 'string' || typeof revision !== 'string') return undefined
    return { build: JSON.parse(json) as Build, revision, run: run ?? '' }
  }

  async #smallestIndex({ state, target, label }: ListBuildsQuery): Promise<string> {
    const own = this.#project === undefined ? undefined : projectIndexKey(this.#project)
    const { all, state: ofState } = own ?? indexKey
    const candidates = [
      all,
      ...(state === undefined ? [] : [ofState(state)]),
      ...(target === undefined || own === undefined ? [] : [own.target(target)]),
      ...(label === undefined || own === undefined ? [] : [own.label(label)]),
    ]
    const sizes = await whileAvailable(() => Promise.all(candidates.map((key) => this.#redis.zcard(key))))
    return candidates[sizes.indexOf(Math.min(...sizes))] ?? all
  }

  #idsBefore(index: string, id: string | undefined): Promise<string[]> {
    const max = id === undefined ? '+' : `(${id}`
    return whileAvailable(() => this.#redis.zrevrangebylex(index, max, '-', 'LIMIT', 0, listBatch))
  }

  async #getAll(ids: string[]): Promise<(Build | undefined)[]> {
    const records = await whileAvailable(() =>
      Promise.all(ids.map((id) => this.#redis.hget(recordKey(id), 'json'))),
    )
    return records.map((json) => {
      const build = json === null ? undefined : (JSON.parse(json) as Build)
      return build !== undefined && this.#has(build) ? build : undefined
    })
  }

  #has(build: Build): boolean {
    return this.#project === undefined || isOfProject(build, this.#project)
  }

  #save(
    build: Build,
    leaving: string[],
    expected: string,
    options: SaveOptions & { newRun?: boolean; reservation?: Reservation },
  ): Promise<[code: string, ...rest: string[]]> {
    const { events = [], run = '', streamTtlSeconds = '', newRun = false, reservation } = options
    const keys = [
      recordKey(build.id),
      streamKey(build.id),
      reservation?.key ?? '',
      ...leaving,
      ...indexKeysOf(build),
    ]
    return whileAvailable(() =>
      this.#redis.saveBuild(
        keys.length,
        ...keys,
        ...[expected, run, randomUUID(), build.id, build.state, JSON.stringify(build), newRun ? '1' : ''],
        ...[streamTtlSeconds, changesChannel(build.id), usedReservationSeconds, leaving.length],
        ...events.flatMap(({ id = '', event }) => [id, JSON.stringify(event)]),
      ),
    )
  }
}

/** The problem of a worker that writes after it lost the build. */
export function superseded(): ProblemError {
  return new ProblemError('state-conflict', 'Another worker has taken this build over.')
}

export function buildNotFound(id: string): ProblemError {
  return new ProblemError('build-not-found', `There is no build ${id}.`)
}

function fits(build: Build, { state, target, label }: ListBuildsQuery): boolean {
  if (state !== undefined && build.state !== state) return false
  if (target !== undefined && build.target !== target) return false
  return (
    label === undefined || Object.entries(build.labels).some(([key, value]) => `${key}=${value}` === label)
  )
}
