import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { putWholeArchive, type IdentifiedEvent } from './build-archive.ts'
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
 * its artifacts are stored already; when this fails, it is for the caller to remove them.
 * @throws ProblemError what `BuildRepository.create` throws
 */
export async function createEndedBuild(repository: BuildRepository, ending: EndedBuild): Promise<void> {
  const { ended, at, reservation } = ending
  const options = { events: eventsOf(ending), streamTtlSeconds: defaultStreamTtlSeconds }
  await repository.create(ended, at, reservation, options)
}

function eventsOf({ queued, ended, lines, at }: EndedBuild): IdentifiedEvent[] {
  const told: BuildEvent[] = [
    stateEvent(queued, at),
    ...lines.map((line): BuildEvent => ({ type: 'log', at: at.toISOString(), line })),
    stateEvent(ended, at),
  ]
  return told.map((event, index) => ({ id: `${at.getTime()}-${index}`, event }))
}
