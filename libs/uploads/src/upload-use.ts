import { setTimeout } from 'node:timers/promises'
import type { ContentId } from '@edgesmith/contract/identifiers'
import { writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'

/**
 * Uses of uploads, and their removal. Whoever is going to refer to an upload first writes that it was used and
 * then looks for the mark of a removal; whoever removes one first writes that mark and then looks for the last
 * use. So one of both sees the other, whatever happens in between.
 */
export const uploadUseKey = {
  /** Its time of modification tells when the upload was used last. */
  used: (id: ContentId) => `uploads/used/${hexOf(id)}.json`,
  /** There while the upload is being removed. */
  condemned: (id: ContentId) => `uploads/condemned/${hexOf(id)}.json`,
} as const

/** Key of an upload's entry in the catalogue. */
export function entryKey(id: ContentId): string {
  return `uploads/by-digest/${id.replace(':', '/')}.json`
}

/** How old the last use of an upload may be before another one is written down, in milliseconds. */
export const useRenewalMs = 10 * 60_000

/**
 * Age at which the mark of a removal means nothing any more, in milliseconds: whoever wrote it has died. It
 * is to be done with the removal in half that time, or to leave it.
 */
export const condemnedMs = 60_000

/** How often a request looks whether a removal is over, in milliseconds. */
const pollMs = 20

/** Writes down that an upload is used now, unless that was done a few minutes ago. */
export async function renewUse(store: ObjectStore, id: ContentId): Promise<void> {
  if (await wasUsedLately(store, id)) return
  await writeUse(store, id)
}

/** True when the last use was written down a few minutes ago at the most, or the upload is that young. */
export async function wasUsedLately(store: ObjectStore, id: ContentId): Promise<boolean> {
  for (const key of [uploadUseKey.used(id), entryKey(id)]) {
    const stored = await store.stat(key)
    if (stored !== undefined && Date.now() - stored.modifiedAt.getTime() < useRenewalMs) return true
  }
  return false
}

/** Writes down that an upload is used now. */
export async function writeUse(store: ObjectStore, id: ContentId): Promise<void> {
  await writeJson(store, uploadUseKey.used(id), { usedAt: new Date().toISOString() })
}

/** Waits while an upload is being removed; true when there was something to wait for. */
export async function awaitRemoval(store: ObjectStore, id: ContentId): Promise<boolean> {
  for (let waited = false; ; waited = true) {
    const mark = await store.stat(uploadUseKey.condemned(id))
    if (mark === undefined || Date.now() - mark.modifiedAt.getTime() > condemnedMs) return waited
    await setTimeout(pollMs)
  }
}

function hexOf(id: ContentId): string {
  return id.replace('sha256:', '')
}
