import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { crc32 } from 'node:zlib'
import { Client } from 'minio'
import type { ClientOptions } from 'minio'
import { isS3Error } from './s3-error.ts'

/** A part as the server has it; `size` is in bytes. */
export type StoredPart = { part: number; etag: string; size: number }

/** Which bytes of which object, as it was when it had the ETag. */
export type ObjectRange = {
  bucket: string
  key: string
  offset: number
  /** To the end without it. */
  length?: number | undefined
  etag?: string | undefined
}

/** Which part of which incomplete upload. */
export type PartTarget = { bucket: string; key: string; uploadId: string; number: number }

/**
 * The minio client with what it keeps to its subclasses, and with another check of what it sends: over
 * plain HTTP it would sign the SHA-256 of every body, which costs the sender and the server more than
 * all the rest of an upload. As over HTTPS, bodies are not signed here; the server compares the MD5 of
 * the smallest and the CRC-32 of the others instead.
 */
export class PartClient extends Client {
  constructor(options: ClientOptions) {
    super(options)
    this.enableSHA256 = false
  }

  /** Sends a part; the server refuses bytes that were changed on the way. Answers the part's ETag. */
  async sendPart({ bucket, key, uploadId, number }: PartTarget, bytes: Buffer): Promise<string> {
    const part = { bucketName: bucket, objectName: key, uploadID: uploadId, partNumber: number }
    return (await this.uploadPart({ ...part, headers: checksumOf(bytes) }, bytes)).etag
  }

  /** Sends a whole object. The minio client's `putObject` would copy the bytes, and have them twice meanwhile. */
  async sendObject(
    { bucket, key, headers }: { bucket: string; key: string; headers: Readonly<Record<string, string>> },
    bytes: Buffer,
  ): Promise<void> {
    await this.makeRequestAsyncOmit(
      { method: 'PUT', bucketName: bucket, objectName: key, headers: { ...headers, ...checksumOf(bytes) } },
      bytes,
    )
  }

  /** The parts that an incomplete upload has, in the order of their numbers. */
  async partsOf(bucket: string, key: string, uploadId: string): Promise<StoredPart[]> {
    return this.listParts(bucket, key, uploadId)
  }

  /** Begins to read an object. Answered with `PreconditionFailed` when it has another ETag. */
  async getRange({ bucket, key, offset, length, etag }: ObjectRange): Promise<IncomingMessage> {
    const end = length === undefined ? '' : String(offset + length - 1)
    const range = offset > 0 || length !== undefined ? { range: `bytes=${offset}-${end}` } : {}
    const headers = { ...range, ...(etag === undefined ? {} : { 'if-match': etag }) }
    return this.makeRequestAsync(
      { method: 'GET', bucketName: bucket, objectName: key, headers },
      '',
      [200, 206],
    )
  }

  /**
   * Makes an object of parts. When it is done once more, because an answer was lost, it is seen by the ETag
   * that the object was made by the time before.
   */
  async completeParts(
    { bucket, key, uploadId }: Omit<PartTarget, 'number'>,
    parts: { part: number; etag: string }[],
  ): Promise<void> {
    try {
      await this.completeMultipartUpload(bucket, key, uploadId, parts)
    } catch (error) {
      if (!isS3Error(error, 'NoSuchUpload')) throw error
      const { etag } = await this.statObject(bucket, key)
      if (etag !== etagOf(parts)) throw error
    }
  }
}

/** The header by which the server knows bytes that were changed on the way. */
function checksumOf(bytes: Buffer): Record<string, string> {
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32BE(crc32(bytes))
  return { 'x-amz-checksum-crc32': checksum.toString('base64') }
}

/** The ETag of an object that is made of parts, as S3 makes it of theirs. */
function etagOf(parts: readonly { etag: string }[]): string {
  const hash = createHash('md5')
  for (const { etag } of parts) hash.update(Buffer.from(etag.replaceAll('"', ''), 'hex'))
  return `${hash.digest('hex')}-${parts.length}`
}
