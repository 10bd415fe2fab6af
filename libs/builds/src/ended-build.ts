import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { createOnce } from './accepted-build.ts'
import { putWholeArchive, readWholeArchive, type IdentifiedEvent } from './build-archive.ts'
import { defaultStreamTtlSeconds } from './build-conclusion.ts'
import type { BuildRepository } from './build-repository.ts'
import { stateEvent } from './build-state.ts'
import type { Reservation } from './idempotency.ts'

export type EndedBuild = {
  /** The build as it was queued. */
  readonly queued: Build
  /** The same build at its end. */
  readonly ended: Build
  /** Lines of its log. */
  readonly lines: readonly string[]
  readonly at: Date
  readonly reservation?: Reservation | undefined
}

/**
 * Archives a build that comes to its end without a worker. It is told to nobody before `createEndedBuild`: what
 * it is made of can be stored at the same time. `removeArchive` takes it back.
 */
export async function archiveEndedBuild(store: ObjectStore, ending: EndedBuild): Promise<void> {
  await putWholeArchive(store, ending.ended, eventsOf(ending), ending.reservation)
}

/**
 * Stores the record of such a build, with the events of its whole life: from now on it is known. Its archive and
 * its artifacts are stored already; when it is refused (`isRefused`), it is for the caller to remove them.
 * @throws ProblemError what `createOnce` throws
 */
export async function createEndedBuild(repository: BuildRepository, ending: EndedBuild): Promise<void> {
  const { ended, at, reservation } = ending
  const options = { events: eventsOf(ending), streamTtlSeconds: defaultStreamTtlSeconds }
  await createOnce(repository, ended, at, reservation, options)
}

/**
 * Goes on with such a build where it was archived and could not be told to Redis, which went away. Undefined where
 * there is no archive, or not all of what it tells of.
 */
export async function resumeEndedBuild(
  { store, repository }: { store: ObjectStore; repository: BuildRepository },
  reservation: Reservation,
  hasArtifact: (id: string) => Promise<boolean>,
): Promise<Build | undefined> {
  const archive = await readWholeArchive(store, reservation.buildId)
  if (archive === undefined) return undefined
  const { build, events } = archive
  for (const { id } of build.artifacts) if (!(await hasArtifact(id))) return undefined
  const options = { events, streamTtlSeconds: defaultStreamTtlSeconds }
  await createOnce(repository, build, new Date(build.createdAt), reservation, options)
  return repository.get(build.id)
}

function eventsOf({ queued, ended, lines, at }: EndedBuild): IdentifiedEvent[] {
  const told: BuildEvent[] = [
    stateEvent(queued, at),
    ...lines.map((line): BuildEvent => ({ type: 'log', at: at.toISOString(), line })),
    stateEvent(ended, at),
  ]
  return told.map((event, index) => ({ id: `${at.getTime()}-${index}`, event }))
}
