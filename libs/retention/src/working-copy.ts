import { setTimeout as delay } from 'node:timers/promises'
import { takeFlight } from '@edgesmith/builds/flight'
import type { ProjectRef } from '@edgesmith/contract/project'
import { recoverProjects, type RecoveryParts, type RecoveryReport } from './recovery.ts'
import { beginRecovery, endRecovery, hasIdentity, isFilled, pair } from './store-identity.ts'

/** Time after which a process that recovers and is not heard of has died, in milliseconds. */
const flightMs = 15_000

/** How often those that wait for it look, and after how long a recovery that failed is tried again, in milliseconds. */
const lookMs = 250
const retryMs = 5000

export type WorkingCopyParts = RecoveryParts & {
  /** All projects of the service. */
  readonly listProjects: () => Promise<ProjectRef[]>
  /** Told each time that Redis was looked at and has everything, whoever brought it back. */
  readonly onWhole?: () => void
  readonly logger: {
    info(context: object, message: string): void
    error(context: object, message: string): void
  }
}

/**
 * Brings everything back into Redis and joins it with the object store, whatever it has been used with before.
 * Retention works again afterwards, unless records could not be understood: their files are not to be removed.
 */
export async function recover(
  { listProjects, ...parts }: WorkingCopyParts,
  signal?: AbortSignal,
): Promise<RecoveryReport> {
  await beginRecovery(parts.redis)
  const report = await recoverProjects(parts, await listProjects(), signal === undefined ? {} : { signal })
  await endRecovery(parts.redis)
  if (report.failed.length === 0) await pair({ redis: parts.redis, store: parts.stores.whole })
  return report
}

/**
 * Recovers when Redis is empty: it does not have the identity of the object store that it was used with. Of several
 * processes one does it, and the others wait. Undefined when there is nothing to do.
 */
export async function recoverWhenEmpty(
  parts: WorkingCopyParts,
  signal: AbortSignal,
): Promise<RecoveryReport | undefined> {
  const { redis, logger } = parts
  while (!(await hasIdentity(redis))) {
    await using flight = await takeFlight({
      redis,
      key: 'recovery',
      ttlMs: flightMs,
      onError: (error) => {
        logger.error({ err: error }, 'The right to recover is not renewed.')
      },
    })
    if (flight === undefined) {
      await delay(lookMs, undefined, { signal })
      continue
    }
    if (await hasIdentity(redis)) return undefined
    const report = await recover(parts, signal)
    const { failed, ...counts } = report
    for (const { key, reason } of failed) logger.error({ key, reason }, 'A record cannot be recovered.')
    logger.info(counts, 'Redis was empty; builds and fleets are back from their records.')
    return report
  }
  return undefined
}

export type WorkingCopy = AsyncDisposable & {
  /** Settles when Redis was looked at once, or could not be. */
  readonly looked: Promise<void>
  /**
   * Whether Redis has everything; where it does not, it is seen to.
   * @throws ProblemError `upstream-unavailable` when Redis is away
   */
  readonly isWhole: () => Promise<boolean>
}

/**
 * Keeps Redis a working copy of what the object store has: recovers when it is empty, at once, each time that it
 * comes back, and when it is asked about, until this is disposed of.
 */
export function keepWorkingCopy(parts: WorkingCopyParts): WorkingCopy {
  const { redis, logger } = parts
  const stopping = new AbortController()
  const { signal } = stopping
  let timer: NodeJS.Timeout | undefined
  let isLooking = false
  const look = async () => {
    isLooking = true
    clearTimeout(timer)
    timer = undefined
    try {
      await recoverWhenEmpty(parts, signal)
      parts.onWhole?.()
    } catch (error) {
      if (signal.aborted) return
      logger.error({ err: error }, 'It is not known whether Redis has all builds; that is looked at again.')
      timer = setTimeout(lookAgain, retryMs)
    } finally {
      isLooking = false
    }
  }
  const looked = look()
  let looking = looked
  const lookAgain = () => {
    if (!signal.aborted) looking = looking.then(look)
  }
  redis.on('ready', lookAgain)
  return {
    looked,
    async isWhole() {
      const whole = await isFilled(redis)
      if (!whole && !isLooking && timer === undefined) lookAgain()
      return whole
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      clearTimeout(timer)
      redis.off('ready', lookAgain)
      await looking
    },
  }
}
