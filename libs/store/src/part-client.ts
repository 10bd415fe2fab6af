import { crc32 } from 'node:zlib'
import { Client } from 'minio'
import type { ClientOptions } from 'minio'

/** A part as the server has it; `size` is in bytes. */
export type StoredPart = { part: number; etag: string; size: number }

/** Which part of which incomplete upload. */
export type PartTarget = { bucket: string; key: string; uploadId: string; number: number }

/**
 * The minio client with what it keeps to its subclasses, and with another check of what it sends: over
 * plain HTTP it would sign the SHA-256 of every body, which costs the sender and the server more than
 * all the rest of an upload. As over HTTPS, bodies are not signed here; the server compares the MD5 of
 * small ones and the CRC-32 of parts instead.
 */
export class PartClient extends Client {
  constructor(options: ClientOptions) {
    super(options)
    this.enableSHA256 = false
  }

  /** Sends a part; the server refuses bytes that were changed on the way. Answers the part's ETag. */
  async sendPart({ bucket, key, uploadId, number }: PartTarget, bytes: Buffer): Promise<string> {
    const checksum = Buffer.alloc(4)
    checksum.writeUInt32BE(crc32(bytes))
    const part = { bucketName: bucket, objectName: key, uploadID: uploadId, partNumber: number }
    const headers = { 'x-amz-checksum-crc32': checksum.toString('base64') }
    return (await this.uploadPart({ ...part, headers }, bytes)).etag
  }

  /** The parts that an incomplete upload has, in the order of their numbers. */
  async partsOf(bucket: string, key: string, uploadId: string): Promise<StoredPart[]> {
    return this.listParts(bucket, key, uploadId)
  }
}
