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
    await createOnce(repository, build, at, reservation)
  } catch (error) {
    if (isRefused(error)) await store.remove(archiveKey.accepted(build.id))
    throw error
  }
  await queue.enqueue(build)
}

/**
 * Creates a build unless there is one of its identifier: a request that was repeated with its `Idempotency-Key`
 * can have gone on with it.
 * @throws ProblemError what `BuildRepository.create` throws
 */
export async function createOnce(
  repository: BuildRepository,
  build: Build,
  at: Date,
  reservation: Reservation | undefined,
  options?: Parameters<BuildRepository['create']>[3],
): Promise<void> {
  try {
    await repository.create(build, at, reservation, options)
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'state-conflict') throw error
  }
}

/** Whether a build was not created. When Redis is away that is not known: what is stored of the build has to stay. */
export function isRefused(error: unknown): boolean {
  return error instanceof ProblemError && error.code !== 'upstream-unavailable'
}

/**
 * Goes on with a build that a request accepted and could not tell to Redis, which went away. Undefined where nothing
 * was accepted under this identifier.
 */
export async function resumeBuild(
  { store, repository, queue }: Parts,
  reservation: Reservation,
): Promise<Build | undefined> {
  const accepted = (await readAccepted(store, reservation.buildId))?.build
  if (accepted === undefined) return undefined
  await createOnce(repository, accepted, new Date(accepted.createdAt), reservation)
  const build = await repository.get(accepted.id)
  if (build.state === 'queued') await queue.enqueue(build)
  return build
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
