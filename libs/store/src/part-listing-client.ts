import { Client } from 'minio'

/** A part as the server has it; `size` is in bytes. */
export type StoredPart = { part: number; etag: string; size: number }

/** The minio client with the listing of parts, which it keeps to its subclasses. */
export class PartListingClient extends Client {
  /** The parts that an incomplete upload has, in the order of their numbers. */
  async partsOf(bucket: string, key: string, uploadId: string): Promise<StoredPart[]> {
    return this.listParts(bucket, key, uploadId)
  }
}
