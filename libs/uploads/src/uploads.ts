import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { ContentId, FileName } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import { Upload } from '@edgesmith/contract/upload'
import type { UploadKind } from '@edgesmith/contract/upload'
import { putThrough } from '@edgesmith/store/digest-stream'
import { readJson, writeJson, writeJsonIfAbsent } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import type { ContentDigest } from './content-digest.ts'
import { InspectedStream } from './inspected-stream.ts'
import { dataPrefix, holdQuota, roomFor } from './quota.ts'
import type { UploadLimits } from './upload-limits.ts'
import { awaitRemoval, entryKey, renewUse, wasUsedLately, writeUse } from './upload-use.ts'

/** Bytes that are stored but not yet in the catalogue: they are to be committed or discarded. */
export type StagedUpload = {
  objectKey: string
  contentId: ContentId
  size: number
  kind: UploadKind
  /** The bytes themselves, where they are few and have just been read. */
  bytes?: Buffer
}

/** An entry of the catalogue, stored under the digest of the content; the first writer wins. */
export const CatalogueEntry = Type.Object({ objectKey: Type.String(), upload: Upload })

export type CatalogueEntry = Static<typeof CatalogueEntry>

export type StageOptions = {
  /** Digests that the content has to have. */
  expected?: readonly ContentDigest[]
  signal?: AbortSignal
}

/**
 * Streams a file into the store in constant memory; a compressed file is decompressed for a test on
 * the way. Throws the problems `empty-file`, `content-too-large`, `corrupt-file`, `digest-mismatch`
 * and `quota-exceeded`, what the stream fails with, or the signal's reason; the store then holds
 * nothing of the file. The stream is not destroyed: what is unread of it is left to its owner.
 */
export async function stageUpload(
  store: ObjectStore,
  source: Readable,
  limits: UploadLimits,
  { expected = [], signal }: StageOptions = {},
): Promise<StagedUpload> {
  const room = await roomFor(store, limits)
  const crowded = room !== undefined && room.bytes < limits.limitBytes ? room : undefined
  const objectKey = newDataKey()
  const through = new InspectedStream(
    { ...limits, limitBytes: crowded?.bytes ?? limits.limitBytes },
    expected,
  )
  try {
    await putThrough(store, objectKey, { source, through }, { signal })
  } catch (error) {
    const isTooLarge = error instanceof ProblemError && error.code === 'content-too-large'
    throw isTooLarge && crowded !== undefined ? crowded.exceeded : error
  }
  const staged = stagedUpload(objectKey, through)
  try {
    await holdQuota(store, limits)
  } catch (error) {
    await discardUpload(store, staged)
    throw error
  }
  return staged
}

/** A key for the bytes of a new upload. */
export function newDataKey(): string {
  return `${dataPrefix}${randomUUID()}`
}

/** What an inspection found of the bytes that are now under the key. */
export function stagedUpload(objectKey: string, inspected: InspectedStream): StagedUpload {
  const { size, kind, bytes } = inspected
  const contentId = `sha256:${inspected.digest()}`
  return { objectKey, contentId, size, kind, ...(bytes === undefined ? {} : { bytes }) }
}

/**
 * Enters a staged upload into the catalogue. Where the same content is there already the staged
 * bytes are removed and the upload there is answered, `created` false, with the name it has.
 */
export async function commitUpload(
  store: ObjectStore,
  { objectKey, contentId, size, kind }: StagedUpload,
  { fileName }: { fileName?: FileName } = {},
): Promise<{ upload: Upload; created: boolean }> {
  const createdAt = new Date().toISOString()
  const upload: Upload = {
    id: contentId,
    kind,
    size,
    ...(fileName === undefined ? {} : { fileName }),
    createdAt,
  }
  const entry: CatalogueEntry = { objectKey, upload }
  for (;;) {
    const isNew = await writeJsonIfAbsent(store, entryKey(contentId), entry)
    if (!isNew) await renewUse(store, contentId)
    // Retention may be removing an earlier upload of this content, and its entry with it.
    if (await awaitRemoval(store, contentId)) continue
    if (isNew) return { upload, created: true }

    const existing = await findUpload(store, contentId)
    if (existing === undefined) continue
    // Committed before, by a call that perhaps could not know it.
    if (existing.objectKey === objectKey) return { upload: existing.upload, created: true }
    if ((await store.stat(existing.objectKey))?.size === size) {
      await store.remove(objectKey)
      return { upload: existing.upload, created: false }
    }
    // The entry outlived its bytes.
    await writeJson(store, entryKey(contentId), entry)
    return { upload, created: true }
  }
}

/** Removes a staged upload that is not going to be committed. */
export async function discardUpload(store: ObjectStore, staged: StagedUpload): Promise<void> {
  await store.remove(staged.objectKey)
}

/** Looks an upload up in the catalogue; `objectKey` names its bytes. */
export async function findUpload(store: ObjectStore, id: ContentId): Promise<CatalogueEntry | undefined> {
  return readJson(store, entryKey(id), CatalogueEntry)
}

/**
 * Looks an upload up to refer to it: from now on it counts as used. Undefined when it is not in the catalogue,
 * or its bytes are gone.
 */
export async function useUpload(store: ObjectStore, id: ContentId): Promise<CatalogueEntry | undefined> {
  for (;;) {
    const [entry, isFresh] = await Promise.all([findUpload(store, id), wasUsedLately(store, id)])
    if (entry !== undefined && !isFresh) await writeUse(store, id)
    if (await awaitRemoval(store, id)) continue
    if (entry === undefined) return undefined
    // Asked last: bytes that are there now were not removed before the use was written down.
    if ((await store.stat(entry.objectKey)) !== undefined) return entry
    if ((await findUpload(store, id))?.objectKey === entry.objectKey) return undefined
  }
}
