import type { ContentId } from '@edgesmith/contract/identifiers'
import { writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { condemnedMs, entryKey, uploadUseKey } from '@edgesmith/uploads/upload-use'
import { findUpload } from '@edgesmith/uploads/uploads'

/**
 * Removes an upload that nothing refers to, unless it has been used since `unusedSince` or has other bytes by
 * now. False when it stays. Whoever uses it at the same time waits until this is over.
 */
export async function removeUpload(
  store: ObjectStore,
  { id, objectKey, unusedSince }: { id: ContentId; objectKey: string; unusedSince: Date },
): Promise<boolean> {
  const begun = performance.now()
  const mark = uploadUseKey.condemned(id)
  await writeJson(store, mark, { objectKey })
  const used = await store.stat(uploadUseKey.used(id))
  const isUsed = used !== undefined && used.modifiedAt > unusedSince
  if (isUsed || (await findUpload(store, id))?.objectKey !== objectKey) {
    await store.remove(mark)
    return false
  }
  await store.remove(objectKey)
  // Later the mark may have been taken for that of a dead process; the next run removes the entry then.
  if (performance.now() - begun < condemnedMs / 2) {
    await store.remove(entryKey(id))
    await store.remove(uploadUseKey.used(id))
  }
  await store.remove(mark)
  return true
}
