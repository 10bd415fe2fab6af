import { ProblemError } from '@edgesmith/contract/problem'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { listRecords } from './resumable-record.ts'
import type { UploadLimits } from './upload-limits.ts'

/** Where the bytes of uploads are. */
export const dataPrefix = 'uploads/data/'

/**
 * How many bytes the uploads of a store take: those in the store, and those that resumable uploads under way have
 * announced. It is the store that says so, whoever asks, so that nothing can get out of step with it.
 */
export async function usedBytes(store: ObjectStore): Promise<number> {
  let used = 0
  for await (const { size } of store.list(dataPrefix)) used += size
  for await (const record of listRecords(store)) {
    // A complete one is among the data already.
    if (record.upload === undefined && !record.isAssembled) used += record.size
  }
  return used
}

/**
 * How many bytes an upload can have without all of them going beyond the quota.
 * @throws ProblemError `quota-exceeded` when there is no room at all
 */
export async function roomFor(store: ObjectStore, limits: UploadLimits): Promise<number> {
  if (limits.quotaBytes === undefined) return Number.POSITIVE_INFINITY
  const room = limits.quotaBytes - (await usedBytes(store))
  if (room <= 0) throw quotaExceeded(limits.quotaBytes)
  return room
}

/**
 * Holds the quota once an upload's bytes are in the store. Several that arrive at the same time each
 * see the others here, so that they cannot go beyond it together.
 * @throws ProblemError `quota-exceeded`
 */
export async function holdQuota(store: ObjectStore, { quotaBytes }: UploadLimits): Promise<void> {
  if (quotaBytes !== undefined && (await usedBytes(store)) > quotaBytes) throw quotaExceeded(quotaBytes)
}

export function quotaExceeded(quotaBytes: number): ProblemError {
  return new ProblemError(
    'quota-exceeded',
    `With this file all uploads of the project would hold more than the ${quotaBytes} bytes they may have together. Ask the operator to remove uploads that are no longer used or to raise UPLOAD_QUOTA_BYTES.`,
  )
}
