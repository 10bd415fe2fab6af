import { Readable } from 'node:stream'
import type { Build } from '@edgesmith/contract/build'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import type { Redis } from 'ioredis'
import { putArchive, toArchiveLine } from './build-archive.ts'
import type { IdentifiedEvent } from './build-archive.ts'
import type { EventReader } from './build-events.ts'
import { recordKey } from './build-keys.ts'
import { toLines } from './build-log.ts'
import { superseded } from './build-repository.ts'
import type { BuildRepository } from './build-repository.ts'
import { defineBuildScripts } from './build-scripts.ts'
import { isEnd, stateEvent } from './build-state.ts'
import { whileAvailable } from './redis-connection.ts'

/** Seconds the stream of an ended build is kept beside its archive, unless told otherwise. */
export const defaultStreamTtlSeconds = 60 * 60

export type ConclusionParts = {
  redis: Redis
  repository: BuildRepository
  events: EventReader
  /** Where the archives are, each in the part of its build's project. */
  stores: ProjectStores
  /** Seconds the stream of an ended build is kept beside its archive; an hour when left out. */
  streamTtlSeconds?: number
}

/**
 * Ends a build: writes its archive (log, events, record) to the object store, the event of the end
 * included, and only then saves and tells the end. A worker that dies in between leaves a running
 * build, which runs again and writes the archive anew; what the dead one archived is told to nobody.
 *
 * `finish` makes the ended record from the present one, and is called again when somebody else
 * changed the record meanwhile. `run` keeps a worker that lost its job from ending the build.
 * @throws ProblemError what `finish` throws; `build-not-found`, `state-conflict`,
 * `upstream-unavailable`
 */
export async function concludeBuild(
  parts: ConclusionParts,
  id: string,
  finish: (build: Build) => Build,
  at: Date,
  { run }: { run?: string } = {},
): Promise<Build> {
  const { redis, repository, streamTtlSeconds = defaultStreamTtlSeconds } = parts
  for (;;) {
    const previous = await repository.read(id)
    const ended = finish(previous.build)
    if (!isEnd(ended.state)) throw new TypeError(`${ended.state} is not an end.`)
    if (run !== undefined && run !== previous.run) throw superseded()
    const eventId = await whileAvailable(() => defineBuildScripts(redis).nextBuildEventId(recordKey(id)))
    if (eventId === null) continue
    const end = { id: eventId, event: stateEvent(ended, at) }
    await writeArchive(parts, ended, end)
    const options = { events: [end], streamTtlSeconds, ...(run === undefined ? {} : { run }) }
    try {
      const saved = await repository.save(previous, ended, at, options)
      if (saved !== undefined) return saved.build
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'state-conflict') await restoreArchive(parts, id)
      throw error
    }
    await restoreArchive(parts, id)
  }
}

/** Another one ended the build while the archive was written here: writes that end instead. */
async function restoreArchive(parts: ConclusionParts, id: string): Promise<void> {
  const build = await parts.repository.get(id)
  if (isEnd(build.state)) await writeArchive(parts, build)
}

/** Events of attempts whose stream has expired are read from the archive that is replaced here. */
async function writeArchive(
  { events, stores }: ConclusionParts,
  build: Build,
  end?: IdentifiedEvent,
): Promise<void> {
  async function* all(): AsyncGenerator<IdentifiedEvent> {
    yield* await events.read(build.id, { follow: false })
    if (end !== undefined) yield end
  }
  async function* lines(): AsyncGenerator<string> {
    for await (const event of all()) yield toArchiveLine(event)
  }
  await putArchive(stores.of(build), build, {
    log: Readable.from(toLines(all()), { objectMode: false }),
    events: Readable.from(lines(), { objectMode: false }),
  })
}
