import { setInterval } from 'node:timers'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { listRecords } from '@edgesmith/uploads/resumable-record'
import type { ResumableUploads } from '@edgesmith/uploads/resumable-uploads'
import type { Locker } from '@tus/server'
import { ProblemError } from '@edgesmith/contract/problem'

export type ExpiryOptions = {
  readonly store: ObjectStore
  readonly uploads: ResumableUploads
  /** Its patience is how long the removal waits for a request that works on an expired upload. */
  readonly locker: Locker
  readonly ttlMs: number
}

/** Removes the resumable uploads whose time is over; the answer is how many. */
export async function removeExpired({ store, uploads, locker, ttlMs }: ExpiryOptions): Promise<number> {
  let removed = 0
  for await (const { id, createdAt } of listRecords(store)) {
    if (Date.parse(createdAt) + ttlMs >= Date.now()) continue
    const lock = locker.newLock(id)
    try {
      await lock.lock(AbortSignal.timeout(60_000), () => undefined)
    } catch (error) {
      // It is removed the next time.
      if (error instanceof ProblemError && error.code === 'upload-locked') continue
      throw error
    }
    try {
      await uploads.remove(id)
    } finally {
      await lock.unlock()
    }
    removed += 1
  }
  return removed
}

/** How often is looked for expired uploads, in milliseconds. */
const everyMs = 10 * 60 * 1000

/** Removes expired uploads now and from time to time, in every gateway, until it is disposed of. */
export function keepRemovingExpired(
  options: ExpiryOptions,
  onError: (error: unknown) => void,
): AsyncDisposable {
  let running = Promise.resolve()
  const run = () => {
    running = running.then(() => removeExpired(options)).then(() => undefined, onError)
  }
  run()
  const timer = setInterval(run, everyMs)
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer)
      await running
    },
  }
}
