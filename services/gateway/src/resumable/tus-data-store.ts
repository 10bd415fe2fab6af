import type { Readable } from 'node:stream'
import { ProblemError } from '@edgesmith/contract/problem'
import { NoSuchObject } from '@edgesmith/store/object-store'
import type { ContentDigest } from '@edgesmith/uploads/content-digest'
import type { ResumableRecord } from '@edgesmith/uploads/resumable-record'
import type { ResumableUploads } from '@edgesmith/uploads/resumable-uploads'
import { DataStore, Upload } from '@tus/server'

export type TusDataStoreOptions = {
  readonly uploads: ResumableUploads
  /** How long an upload may take, in milliseconds. */
  readonly ttlMs: number
  /** Digests of the whole file, of a request that begins an upload. */
  readonly expected: readonly ContentDigest[]
  /** Whether the request's bytes are to be kept all or not at all: they came with a checksum. */
  readonly isAtomic: boolean
}

/** What the tus server works on for one request: resumable uploads in the object store. */
export class TusDataStore extends DataStore {
  override readonly extensions = ['creation', 'creation-with-upload', 'expiration', 'termination', 'checksum']
  readonly #options: TusDataStoreOptions
  #record: ResumableRecord | undefined

  constructor(options: TusDataStoreOptions) {
    super()
    this.#options = options
  }

  /** The upload as this request left it. */
  get record(): ResumableRecord | undefined {
    return this.#record
  }

  override async create(upload: Upload): Promise<Upload> {
    const { id, size = 0, metadata = {} } = upload
    await this.#options.uploads.create({ id, size, metadata, expected: this.#options.expected })
    return upload
  }

  override async write(stream: Readable, id: string): Promise<number> {
    const { uploads, isAtomic } = this.#options
    // The request has the upload's lock since it looked: nobody has changed the record.
    const before = this.#record ?? (await this.#find(id))
    const record = await this.#orGone(uploads.append(before, stream, { isAtomic }))
    return record.received
  }

  /** Goes on with a check that was cut off: until it is done, the upload is not complete. */
  override async getUpload(id: string): Promise<Upload> {
    const found = await this.#find(id)
    const isExpired = Date.parse(found.createdAt) + this.#options.ttlMs < Date.now()
    const record = isExpired ? found : await this.#orGone(this.#options.uploads.finish(found))
    return new Upload({
      id,
      size: record.size,
      offset: record.received,
      metadata: record.metadata,
      creation_date: record.createdAt,
    })
  }

  override async remove(id: string): Promise<void> {
    await this.#find(id)
    await this.#options.uploads.remove(id)
  }

  override getExpiration(): number {
    return this.#options.ttlMs
  }

  async #find(id: string): Promise<ResumableRecord> {
    this.#record = await this.#options.uploads.find(id)
    if (this.#record === undefined) throw noSuchUpload(id)
    return this.#record
  }

  async #orGone(working: Promise<ResumableRecord>): Promise<ResumableRecord> {
    try {
      this.#record = await working
      return this.#record
    } catch (error) {
      if (!(error instanceof NoSuchObject)) throw error
      throw new ProblemError(
        'upload-expired',
        'The store has given up the bytes of this upload. Begin it anew.',
        { cause: error },
      )
    }
  }
}

export function noSuchUpload(id: string): ProblemError {
  return new ProblemError(
    'upload-not-found',
    `There is no resumable upload ${id}. It may have expired; begin it anew.`,
  )
}
