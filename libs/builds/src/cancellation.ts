import type { Build } from '@edgesmith/contract/build'
import type { Redis } from 'ioredis'
import { concludeBuild } from './build-conclusion.ts'
import type { ConclusionParts } from './build-conclusion.ts'
import { changesChannel, recordKey } from './build-keys.ts'
import { defineBuildScripts } from './build-scripts.ts'
import { assertTransition, cancelBuild } from './build-state.ts'
import type { Notifications } from './notifications.ts'
import { whileAvailable } from './redis-connection.ts'

/** The reason of a signal that was aborted because a client canceled the build. */
export class BuildCanceled extends Error {
  override name = 'BuildCanceled'
}

/**
 * Cancels a build. A queued one ends at once. A running one is asked to: the wish is kept with the
 * record and told to the worker, which ends the build; the answer is then still `running`.
 * @throws ProblemError `build-not-found`, `state-conflict` when the build has ended
 */
export async function requestCancel(parts: ConclusionParts, id: string, at: Date): Promise<Build> {
  for (;;) {
    const build = await parts.repository.get(id)
    assertTransition(build, 'canceled')
    if (build.state === 'queued') {
      const canceled = await cancelQueued(parts, id, at)
      if (canceled !== undefined) return canceled
      continue
    }
    const state = await whileAvailable(() =>
      defineBuildScripts(parts.redis).requestBuildCancel(recordKey(id), build.attempt, changesChannel(id)),
    )
    if (state === 'running') return build
  }
}

class NotQueued extends Error {}

/** Undefined when a worker took the build first. */
async function cancelQueued(parts: ConclusionParts, id: string, at: Date): Promise<Build | undefined> {
  const finish = (build: Build) => {
    if (build.state === 'running') throw new NotQueued()
    return cancelBuild(build, at)
  }
  try {
    return await concludeBuild(parts, id, finish, at)
  } catch (error) {
    if (error instanceof NotQueued) return undefined
    throw error
  }
}

export type WatchCancelOptions = {
  redis: Redis
  notifications: Notifications
  id: string
  attempt: number
  /** Aborted with `BuildCanceled` once the attempt is to be canceled. */
  controller: AbortController
  /** Told when the watch fails, which ends it. */
  onError: (error: Error) => void
}

/**
 * Watches whether a client cancels an attempt of a build, also before the watch began. Dispose of
 * the answer to end the watch.
 * @throws ProblemError `build-not-found`, `upstream-unavailable`
 */
export async function watchCancel(options: WatchCancelOptions): Promise<AsyncDisposable> {
  const { redis, notifications, id, attempt, controller, onError } = options
  const changes = await notifications.subscribe(changesChannel(id))
  const ended = new AbortController()
  const isCanceled = async () =>
    (await whileAvailable(() => redis.hget(recordKey(id), 'cancel'))) === String(attempt)
  const watch = async () => {
    while (!(await isCanceled())) await changes.next(ended.signal)
    controller.abort(new BuildCanceled('A client canceled the build.'))
  }
  const watching = watch().catch((error: unknown) => {
    if (!ended.signal.aborted) onError(toError(error))
  })
  return {
    async [Symbol.asyncDispose]() {
      ended.abort()
      await watching
      await changes[Symbol.asyncDispose]()
    },
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error('The watch failed.', { cause: error })
}
