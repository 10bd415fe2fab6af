import type { Worker } from 'bullmq'

/** A job that runs here, and what proves that it was given to this worker. */
export type HeldJob = { readonly id: string; readonly token: string }

export type LockRenewalOptions = {
  /** The jobs that run at the moment. */
  readonly held: () => readonly HeldJob[]
  /** Time that a lock lasts, in milliseconds. */
  readonly durationMs: number
  /** Told of jobs whose lock could not be renewed. */
  readonly onLost: (ids: readonly string[]) => void
  readonly onError: (error: Error) => void
}

/**
 * Renews the locks of a worker's jobs by a timer that no clock moves: BullMQ's own compares times of day,
 * and renews nothing for as long as the clock was put back. Give the worker `skipLockRenewal`.
 */
export function renewLocks(
  worker: Pick<Worker, 'extendJobLocks'>,
  { held, durationMs, onLost, onError }: LockRenewalOptions,
): Disposable {
  const renew = async () => {
    const jobs = held()
    if (jobs.length === 0) return
    const [ids, tokens] = [jobs.map(({ id }) => id), jobs.map(({ token }) => token)]
    const lost = await worker.extendJobLocks(ids, tokens, durationMs)
    // Those that ended meanwhile have no lock to lose.
    const running = new Set(held().map(({ id }) => id))
    const missed = lost.filter((id) => running.has(id))
    for (const id of missed) onError(new Error(`The worker could not renew lock of job ${id}.`))
    if (missed.length > 0) onLost(missed)
  }
  let isRenewing = false
  const timer = setInterval(() => {
    // While Redis is away one renewal waits for it, not one for each turn of the timer.
    if (isRenewing) return
    isRenewing = true
    renew()
      .finally(() => (isRenewing = false))
      .catch((error: unknown) => {
        onError(error instanceof Error ? error : new Error('Locks are not renewed.', { cause: error }))
      })
  }, durationMs / 4)
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer)
    },
  }
}
