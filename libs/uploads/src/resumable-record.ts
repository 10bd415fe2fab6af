import { ContentId } from '@edgesmith/contract/identifiers'
import { Upload, UploadKind } from '@edgesmith/contract/upload'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type } from 'typebox'
import type { Static } from 'typebox'

const prefix = 'uploads/resumable/'

/**
 * All that is known of a resumable upload, kept beside its bytes so that any gateway can go on with
 * it. It is written after the bytes it speaks of are durable: what it does not speak of yet is sent
 * again by the client, in place of what is there.
 */
export const ResumableRecord = Type.Object({
  id: Type.String({ format: 'uuid' }),
  createdAt: Type.String(),
  /** Announced size, in bytes. */
  size: Type.Integer({ minimum: 1 }),
  /** What the client said of the file (`Upload-Metadata`). */
  metadata: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])),
  /** Digests the whole has to have, in base64. */
  expected: Type.Array(Type.Object({ algorithm: Type.Enum(['sha-256', 'sha-512']), value: Type.String() })),
  /** The object that the bytes become. */
  object: Type.Object({ key: Type.String(), uploadId: Type.String() }),
  /** How many parts of the object are stored. */
  parts: Type.Integer({ minimum: 0 }),
  /** Bytes behind those parts that do not fill one yet, as an object of their own. */
  tail: Type.Optional(Type.Object({ key: Type.String(), size: Type.Integer({ minimum: 1 }) })),
  /** How many bytes are stored, in the parts and the tail. */
  received: Type.Integer({ minimum: 0 }),
  /** Whether the parts have become the object. */
  isAssembled: Type.Boolean(),
  /** What the object was found to be, known before it is entered into the catalogue. */
  staged: Type.Optional(Type.Object({ contentId: ContentId, kind: UploadKind })),
  /** The upload it has become. */
  upload: Type.Optional(Upload),
})

export type ResumableRecord = Static<typeof ResumableRecord>

function recordKey(id: string): string {
  return `${prefix}${id}/upload.json`
}

/** The beginning of the keys of the objects that a resumable upload has beside its data. */
export function recordPrefix(id: string): string {
  return `${prefix}${id}/`
}

export async function readRecord(store: ObjectStore, id: string): Promise<ResumableRecord | undefined> {
  return readJson(store, recordKey(id), ResumableRecord)
}

export async function writeRecord(store: ObjectStore, record: ResumableRecord): Promise<void> {
  await writeJson(store, recordKey(record.id), record)
}

/** Every resumable upload the store knows of. */
export async function* listRecords(store: ObjectStore): AsyncGenerator<ResumableRecord> {
  for await (const { key } of store.list(prefix)) {
    const id = key.slice(prefix.length, -'/upload.json'.length)
    if (key !== recordKey(id)) continue
    const record = await readRecord(store, id)
    if (record !== undefined) yield record
  }
}
