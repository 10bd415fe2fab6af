import { randomUUID } from 'node:crypto'
import type { Build, BuildState } from '@edgesmith/contract/build'
import type { BuildEvent, LogEvent } from '@edgesmith/contract/event'
import { ProblemError } from '@edgesmith/contract/problem'
import { isOfProject, type ProjectRef } from '@edgesmith/contract/project'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import type { Redis } from 'ioredis'
import type { IdentifiedEvent } from './build-archive.ts'
import { changesChannel, recordKey, streamKey } from './build-keys.ts'
import { readEventsOfArchive } from './fleet-archive.ts'
import { buildNotFound, superseded } from './build-repository.ts'
import { defineBuildScripts } from './build-scripts.ts'
import { isEnd } from './build-state.ts'
import {
  afterLastEvent,
  assertEventId,
  beforeFirstEvent,
  compareEventIds,
  unknownEventId,
} from './event-id.ts'
import type { Notifications } from './notifications.ts'
import { whileAvailable } from './redis-connection.ts'
import { Wholeness } from './wholeness.ts'

/** Events appended, and read, in one step. */
const batchSize = 256

/** Bytes of log events kept of a build unless told otherwise. */
const defaultMaxLogBytes = 64 * 1024 * 1024

export type AppendOptions = {
  /** Only append while this run is the build's latest; see `BuildRepository.claim`. */
  run?: string
}

export type ReadEventsOptions = {
  /** Id of the last event the reader has; all events when left out. */
  after?: string
  /** Go on with the events to come, until the build has ended. */
  follow: boolean
  /** Ends the reading with the reason of the signal. */
  signal?: AbortSignal
}

export type BuildEventsParts = {
  redis: Redis
  /** Needed to follow. */
  notifications: Notifications
  /** Where the archives are, each in the part of its build's project. */
  stores: ProjectStores
  /** Whether Redis has all builds; when left out it is taken to have them. */
  wholeness?: Wholeness
  /** Bytes of log events kept of a build, all attempts together; 64 MiB when left out. */
  maxLogBytes?: number
}

/** What reads events without writing any. */
export type EventReader = Pick<BuildEvents, 'read'>

/** What one look at a build's stream tells, of one moment. */
type Look = {
  state: BuildState
  lastEventId: string
  /** Events before this id are only in the archive: all of them when the stream has expired. */
  archiveBefore: string | undefined
  events: IdentifiedEvent[]
}

/**
 * The events of builds. They live in a Redis stream; after a build has ended and its archive is
 * written the stream expires, and the archive in the object store is read instead. Ids rise over
 * all attempts of a build, and stay what they were in the archive.
 */
export class BuildEvents {
  readonly #redis: Redis
  readonly #notifications: Notifications
  readonly #stores: ProjectStores
  readonly #wholeness: Wholeness
  readonly #maxLogBytes: number

  constructor({
    redis,
    notifications,
    stores,
    wholeness = new Wholeness(),
    maxLogBytes = defaultMaxLogBytes,
  }: BuildEventsParts) {
    this.#redis = defineBuildScripts(redis)
    this.#wholeness = wholeness
    this.#notifications = notifications
    this.#stores = stores
    this.#maxLogBytes = maxLogBytes
  }

  /** Reads the events of one project's builds: those of others are not found. */
  within(project: ProjectRef): EventReader {
    return {
      read: async (id, options) => {
        const build = await this.#wholeness.find(() => this.#find(id))
        if (build === undefined || !isOfProject(build, project)) throw buildNotFound(id)
        return this.read(id, options)
      },
    }
  }

  /**
   * Appends events to those of a queued or running build, in order, and answers the ids they got.
   * Log lines beyond the allowed bytes are left out, which one last line tells.
   * @throws ProblemError `build-not-found`; `state-conflict` when the build has ended or another run
   * has taken it over; `upstream-unavailable`
   */
  async append(
    id: string,
    events: readonly BuildEvent[],
    { run = '' }: AppendOptions = {},
  ): Promise<string[]> {
    const appended: string[] = []
    for (let start = 0; start < events.length; start += batchSize) {
      const batch = events.slice(start, start + batchSize)
      const notice = JSON.stringify(this.#omissionNotice(batch))
      const token = randomUUID()
      const [code, ...ids] = await whileAvailable(() =>
        this.#redis.appendBuildEvents(
          ...[recordKey(id), streamKey(id), run, token, changesChannel(id), this.#maxLogBytes, notice],
          ...batch.flatMap((event) => [event.type === 'log' ? '1' : '', JSON.stringify(event)]),
        ),
      )
      if (code === 'missing') throw buildNotFound(id)
      if (code === 'ended') throw new ProblemError('state-conflict', `The build has ended (${ids[0] ?? ''}).`)
      if (code === 'superseded') throw superseded()
      appended.push(...ids)
    }
    return appended
  }

  /**
   * Opens the events of a build behind `after`: first those there are, then, when following, those to
   * come. Ends behind the event that tells the end of the latest attempt, or when the build is
   * deleted.
   * @throws ProblemError at once: `build-not-found`; `invalid-parameter` when no event has the id
   * `after`; `upstream-unavailable`
   */
  async read(id: string, options: ReadEventsOptions): Promise<AsyncIterable<IdentifiedEvent>> {
    if (options.after !== undefined) assertEventId(options.after)
    const position = options.after ?? beforeFirstEvent
    const look = await this.#wholeness.find(() => this.#look(id, position, 1))
    if (look === undefined) throw buildNotFound(id)
    if (options.after !== undefined) await this.#assertKnown(id, options.after, look)
    return this.#read(id, options)
  }

  async *#read(id: string, { after, follow, signal }: ReadEventsOptions): AsyncGenerator<IdentifiedEvent> {
    let position = after ?? beforeFirstEvent
    let archiveReadBefore: string | undefined
    await using changes = follow ? await this.#notifications.subscribe(changesChannel(id)) : undefined
    for (;;) {
      signal?.throwIfAborted()
      const look = await this.#wholeness.find(() => this.#look(id, position, batchSize))
      if (look === undefined) return
      const { archiveBefore, lastEventId } = look
      if (
        archiveBefore !== undefined &&
        archiveBefore !== archiveReadBefore &&
        compareEventIds(position, lastEventId) < 0
      ) {
        for await (const event of this.#readArchive(id, position, archiveBefore)) {
          signal?.throwIfAborted()
          position = event.id
          yield event
        }
        archiveReadBefore = archiveBefore
        continue
      }
      for (const event of look.events) {
        position = event.id
        yield event
      }
      if (look.events.length > 0) continue
      if (compareEventIds(position, lastEventId) < 0) throw new Error(`The events of build ${id} are lost.`)
      if (changes === undefined || isEnd(look.state)) return
      await changes.next(signal)
    }
  }

  /** The archived events between two ids, both exclusive. */
  async *#readArchive(id: string, after: string, before: string): AsyncGenerator<IdentifiedEvent> {
    for await (const event of this.#archived(id)) {
      if (compareEventIds(event.id, before) >= 0) return
      if (compareEventIds(event.id, after) > 0) yield event
    }
  }

  async *#archived(id: string): AsyncGenerator<IdentifiedEvent> {
    const build = await this.#find(id)
    if (build !== undefined) yield* readEventsOfArchive(this.#stores.of(build), build)
  }

  async #find(id: string): Promise<Build | undefined> {
    const json = await whileAvailable(() => this.#redis.hget(recordKey(id), 'json'))
    return json === null ? undefined : (JSON.parse(json) as Build)
  }

  async #assertKnown(id: string, eventId: string, { archiveBefore }: Look): Promise<void> {
    const entries = await whileAvailable(() => this.#redis.xrange(streamKey(id), eventId, eventId))
    if (entries.length > 0) return
    if (archiveBefore === undefined) throw unknownEventId()
    for await (const event of this.#archived(id)) {
      if (event.id === eventId && compareEventIds(eventId, archiveBefore) < 0) return
    }
    throw unknownEventId()
  }

  /** Looks at a build and the next events of its stream; undefined when there is no such build. */
  async #look(id: string, position: string, count: number): Promise<Look | undefined> {
    const reply = await whileAvailable(() =>
      this.#redis.readBuildEvents(recordKey(id), streamKey(id), position, count),
    )
    if (reply === null) return undefined
    const [state, lastEventId, archiveBefore, streamExists, entries] = reply
    return {
      state: state as BuildState,
      lastEventId,
      archiveBefore: streamExists === 0 ? afterLastEvent : archiveBefore === '' ? undefined : archiveBefore,
      events: entries.map(([eventId, [, event]]) => ({
        id: eventId,
        event: JSON.parse(event) as BuildEvent,
      })),
    }
  }

  #omissionNotice(batch: readonly BuildEvent[]): LogEvent {
    const at = batch[0]?.at ?? new Date().toISOString()
    return {
      type: 'log',
      at,
      line: `[edgesmith] The log is longer than ${this.#maxLogBytes} bytes; the rest is left out.`,
    }
  }
}
