import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { putArchive, removeArchive, toArchiveLine, type IdentifiedEvent } from './build-archive.ts'
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
 * Stores a build that has come to its end without a worker: its archive first, then its record, with the
 * events of its whole life. When this fails nothing is left.
 * @throws ProblemError what `BuildRepository.create` throws
 */
export async function createEndedBuild(
  { store, repository }: { store: ObjectStore; repository: BuildRepository },
  { queued, ended, lines, at, reservation }: EndedBuild,
): Promise<void> {
  const told: BuildEvent[] = [
    stateEvent(queued, at),
    ...lines.map((line): BuildEvent => ({ type: 'log', at: at.toISOString(), line })),
    stateEvent(ended, at),
  ]
  const events = told.map((event, index): IdentifiedEvent => ({ id: `${at.getTime()}-${index}`, event }))
  await putArchive(store, ended, {
    log: Buffer.from(lines.map((line) => `${line}\n`).join('')),
    events: Buffer.from(events.map(toArchiveLine).join('')),
  })
  try {
    await repository.create(ended, at, reservation, { events, streamTtlSeconds: defaultStreamTtlSeconds })
  } catch (error) {
    await removeArchive(store, ended.id)
    throw error
  }
}
