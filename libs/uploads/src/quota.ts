import { ProblemError } from '@edgesmith/contract/problem'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { listRecords } from './resumable-record.ts'
import type { SharedQuota, UploadLimits } from './upload-limits.ts'

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

/** How many bytes there is room for, and what is said to who sends more. */
export type Room = { readonly bytes: number; readonly exceeded: ProblemError }

/**
 * How many bytes an upload can have without all of them going beyond a quota; undefined where there is none.
 * @throws ProblemError `quota-exceeded` when there is no room at all
 */
export async function roomFor(store: ObjectStore, limits: UploadLimits): Promise<Room | undefined> {
  let smallest: Room | undefined
  for (const quota of await quotasOf(store, limits)) {
    const room = await roomIn(quota)
    if (room.bytes <= 0) throw room.exceeded
    if (smallest === undefined || room.bytes < smallest.bytes) smallest = room
  }
  return smallest
}

/**
 * Holds the quotas once an upload's bytes are in the store. Several that arrive at the same time each
 * see the others here, so that they cannot go beyond one together.
 * @throws ProblemError `quota-exceeded`
 */
export async function holdQuota(store: ObjectStore, limits: UploadLimits): Promise<void> {
  for (const quota of await quotasOf(store, limits)) {
    const room = await roomIn(quota)
    if (room.bytes < 0) throw room.exceeded
  }
}

type Quota = SharedQuota & { readonly owner: 'project' | 'tenant' }

async function quotasOf(store: ObjectStore, { quotaBytes, sharedQuota }: UploadLimits): Promise<Quota[]> {
  const shared = await sharedQuota?.()
  return [
    ...(quotaBytes === undefined ? [] : [{ bytes: quotaBytes, stores: [store], owner: 'project' as const }]),
    ...(shared === undefined ? [] : [{ ...shared, owner: 'tenant' as const }]),
  ]
}

async function roomIn({ bytes, stores, owner }: Quota): Promise<Room> {
  let left = bytes
  for (const store of stores) left -= await usedBytes(store)
  return { bytes: left, exceeded: quotaExceeded(bytes, owner) }
}

function quotaExceeded(bytes: number, owner: Quota['owner']): ProblemError {
  const remedy =
    owner === 'project' ? 'to raise UPLOAD_QUOTA_BYTES' : "to raise the tenant's limit `uploadBytes`"
  return new ProblemError(
    'quota-exceeded',
    `With this file all uploads of the ${owner} would hold more than the ${bytes} bytes they may have together. Ask the operator to remove uploads that are no longer used or ${remedy}.`,
  )
}
