import type { Readable } from 'node:stream'
import { fileNamePattern } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { ContentDigest } from './content-digest.ts'
import { holdQuota, roomFor } from './quota.ts'
import { PartWriter } from './part-writer.ts'
import { inspectObject } from './inspect-object.ts'
import { readRecord, recordPrefix, writeRecord } from './resumable-record.ts'
import type { ResumableRecord } from './resumable-record.ts'
import type { UploadLimits } from './upload-limits.ts'
import { commitUpload, findUpload, newDataKey } from './uploads.ts'

export type NewResumableUpload = {
  id: string
  size: number
  metadata: Record<string, string | null>
  expected: readonly ContentDigest[]
}

/**
 * Uploads that are sent in several requests. All of their state is in the store. Whoever changes one
 * (all but `find`) has to see that no one else does at the same time.
 */
export class ResumableUploads {
  readonly #store: ObjectStore
  readonly #limits: UploadLimits

  constructor(store: ObjectStore, limits: UploadLimits) {
    this.#store = store
    this.#limits = limits
  }

  /** Begins an upload. @throws ProblemError `empty-file`, `content-too-large`, `quota-exceeded` */
  async create({ id, size, metadata, expected }: NewResumableUpload): Promise<void> {
    const { limitBytes } = this.#limits
    if (size === 0) throw new ProblemError('empty-file', 'A file without content cannot be uploaded.')
    if (size > limitBytes) {
      throw new ProblemError('content-too-large', `The file is larger than ${limitBytes} bytes.`)
    }
    const room = await roomFor(this.#store, this.#limits)
    if (room !== undefined && size > room.bytes) throw room.exceeded
    const record: ResumableRecord = {
      ...{ id, createdAt: new Date().toISOString(), size, metadata },
      expected: expected.map(({ algorithm, value }) => ({ algorithm, value: value.toString('base64') })),
      object: await this.#store.beginParts(newDataKey()),
      ...{ parts: 0, received: 0, isAssembled: false },
    }
    await writeRecord(this.#store, record)
    try {
      await holdQuota(this.#store, this.#limits)
    } catch (error) {
      await this.remove(id)
      throw error
    }
  }

  /** What is known of an upload, undefined where there is none. */
  async find(id: string): Promise<ResumableRecord | undefined> {
    return readRecord(this.#store, id)
  }

  /**
   * Stores bytes behind those there. Once all have come the file is checked and becomes an upload.
   * When the stream fails what came is kept, unless `isAtomic`; then it is kept all or not at all.
   * @throws ProblemError `corrupt-file`, `digest-mismatch` for the whole file, which is then removed
   */
  async append(
    record: ResumableRecord,
    source: Readable,
    { isAtomic }: { isAtomic: boolean },
  ): Promise<ResumableRecord> {
    const writer = new PartWriter(this.#store, record)
    const stored = await writer.write(source, { isAtomic })
    return stored.received === stored.size ? this.finish(stored) : stored
  }

  /**
   * Makes an upload of a file all of whose bytes are stored; goes on where another call was cut off.
   * @throws ProblemError `corrupt-file`, `digest-mismatch`; the file is then removed
   */
  async finish(record: ResumableRecord): Promise<ResumableRecord> {
    if (record.upload !== undefined || record.received < record.size) return record
    try {
      return await this.#finish(record)
    } catch (error) {
      if (error instanceof ProblemError) await this.remove(record.id)
      throw error
    }
  }

  /** Removes an upload with all that is stored of it; the upload it has become stays. */
  async remove(id: string): Promise<void> {
    const record = await this.find(id)
    if (record !== undefined) {
      await this.#store.abortParts(record.object)
      if (!(await this.#isCommitted(record))) await this.#store.remove(record.object.key)
    }
    // The record goes last: until then this can be done again.
    const keys = (await Array.fromAsync(this.#store.list(recordPrefix(id)))).map(({ key }) => key)
    for (const key of keys.toSorted((a, b) => Number(isRecordKey(a)) - Number(isRecordKey(b)))) {
      await this.#store.remove(key)
    }
  }

  async #finish(received: ResumableRecord): Promise<ResumableRecord> {
    let record = received
    const { object, parts, size } = record
    if (!record.isAssembled) {
      await this.#store.completeParts(object, { count: parts, size })
      record = await this.#write({ ...record, isAssembled: true })
    }
    if (record.staged === undefined) {
      const expected = record.expected.map(({ algorithm, value }) => ({
        algorithm,
        value: Buffer.from(value, 'base64'),
      }))
      const { contentId, kind } = await inspectObject(this.#store, object.key, this.#limits, expected)
      record = await this.#write({ ...record, staged: { contentId, kind } })
    }
    const { staged, metadata } = record
    if (staged === undefined) throw new Error(`Nothing was found out about ${object.key}.`)
    const fileName = metadata['filename']
    const named = typeof fileName === 'string' && fileNamePattern.test(fileName) ? { fileName } : {}
    const { upload } = await commitUpload(this.#store, { objectKey: object.key, size, ...staged }, named)
    return this.#write({ ...record, upload })
  }

  async #write(record: ResumableRecord): Promise<ResumableRecord> {
    await writeRecord(this.#store, record)
    return record
  }

  async #isCommitted({ object, staged }: ResumableRecord): Promise<boolean> {
    if (staged === undefined) return false
    return (await findUpload(this.#store, staged.contentId))?.objectKey === object.key
  }
}

function isRecordKey(key: string): boolean {
  return key.endsWith('/upload.json')
}
