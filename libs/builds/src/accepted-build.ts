import { Build } from '@edgesmith/contract/build'
import { ProblemError } from '@edgesmith/contract/problem'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type, type Static } from 'typebox'
import { archiveKey } from './build-archive.ts'
import type { BuildQueue } from './build-queue.ts'
import type { BuildRepository } from './build-repository.ts'
import { retryBuild } from './build-state.ts'
import { Reservation } from './idempotency.ts'

/** A build that was accepted for an attempt: the archive of that attempt, or of a later one, supersedes it. */
export const AcceptedBuild = Type.Object({
  build: Build,
  reservation: Type.Optional(Reservation),
})

export type AcceptedBuild = Static<typeof AcceptedBuild>

type Parts = {
  readonly store: ObjectStore
  readonly repository: BuildRepository
  readonly queue: BuildQueue
}

/**
 * Accepts a new build: it is in the object store, then in Redis, then in the queue. Whoever is told of it can
 * rely on it: a Redis that loses everything does not lose the build.
 * @throws ProblemError what `BuildRepository.create` throws
 */
export async function acceptBuild(
  { store, repository, queue }: Parts,
  build: Build,
  at: Date,
  reservation?: Reservation,
): Promise<void> {
  await writeAccepted(store, { build, ...(reservation === undefined ? {} : { reservation }) })
  try {
    await repository.create(build, at, reservation)
  } catch (error) {
    // When Redis is away, it is not known whether it has the build.
    if (error instanceof ProblemError && error.code !== 'upstream-unavailable') {
      await store.remove(archiveKey.accepted(build.id))
    }
    throw error
  }
  await queue.enqueue(build)
}

/**
 * Accepts that an ended build is to run once more, in the same order.
 * @throws ProblemError `build-not-found`, `state-conflict`, `upstream-unavailable`
 */
export async function acceptRetry({ store, repository, queue }: Parts, id: string, at: Date): Promise<Build> {
  await writeAccepted(store, { build: retryBuild(await repository.get(id)) })
  const build = await repository.update(id, retryBuild, at)
  await queue.enqueue(build)
  return build
}

async function writeAccepted(store: ObjectStore, accepted: AcceptedBuild): Promise<void> {
  await writeJson(store, archiveKey.accepted(accepted.build.id), accepted)
}

/** What was accepted of a build last, if anything was. */
export async function readAccepted(store: ObjectStore, id: string): Promise<AcceptedBuild | undefined> {
  return await readJson(store, archiveKey.accepted(id), AcceptedBuild)
}
