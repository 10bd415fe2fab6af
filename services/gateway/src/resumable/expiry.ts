import { setInterval } from 'node:timers'
import { listProjects } from '@edgesmith/identity/tenants'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import { listRecords } from '@edgesmith/uploads/resumable-record'
import { ResumableUploads } from '@edgesmith/uploads/resumable-uploads'
import type { UploadLimits } from '@edgesmith/uploads/upload-limits'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ProjectRef } from '@edgesmith/contract/project'
import type { Redis } from 'ioredis'
import { RedisLocker } from './redis-locker.ts'

export type ExpiryOptions = {
  readonly stores: ProjectStores
  readonly redis: Redis
  readonly limits: UploadLimits
  readonly ttlMs: number
  /** No upload is begun to be removed once it is aborted. */
  readonly signal?: AbortSignal
}

/** Removes the resumable uploads of all projects whose time is over; the answer is how many. */
export async function removeExpired(options: ExpiryOptions): Promise<number> {
  let removed = 0
  for (const project of await listProjects(options.stores.whole)) {
    removed += await removeExpiredOf(project, options)
  }
  return removed
}

async function removeExpiredOf(
  project: ProjectRef,
  { stores, redis, limits, ttlMs, signal }: ExpiryOptions,
): Promise<number> {
  const store = stores.of(project)
  const uploads = new ResumableUploads(store, limits)
  // What a request works on is removed the next time.
  const locker = new RedisLocker(redis, project, { patienceMs: 0 })
  let removed = 0
  for await (const { id, createdAt } of listRecords(store)) {
    if (signal?.aborted === true) return removed
    if (Date.parse(createdAt) + ttlMs >= Date.now()) continue
    const lock = locker.newLock(id)
    try {
      await lock.lock(AbortSignal.timeout(60_000), () => undefined)
    } catch (error) {
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
  options: Omit<ExpiryOptions, 'signal'>,
  onError: (error: unknown) => void,
): AsyncDisposable {
  const stopping = new AbortController()
  const { signal } = stopping
  let running = Promise.resolve()
  const run = () => {
    running = running.then(() => removeExpired({ ...options, signal })).then(() => undefined, onError)
  }
  run()
  const timer = setInterval(run, everyMs)
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer)
      stopping.abort()
      await running
    },
  }
}
