import { addAbortSignal, Readable } from 'node:stream'
import type { Client } from 'minio'
import { createTransport } from './minio-transport.ts'
import { uploadBytes, uploadStream } from './multipart-upload.ts'
import { assertByteRange, assertKeyPrefix, assertObjectKey, NoSuchObject } from './object-store.ts'
import type {
  ByteRange,
  ObjectEntry,
  ObjectStat,
  ObjectStore,
  PartialObject,
  PutOptions,
} from './object-store.ts'
import { minioClientOptions } from './minio-client-options.ts'
import { PartClient } from './part-client.ts'
import { partSize } from './parts.ts'
import type { Piece } from './pieces.ts'
import { RangeConnection } from './range-connection.ts'
import { StreamRangeReader } from './range-reader.ts'
import type { RangeReader } from './range-reader.ts'
import { retrying } from './retry.ts'
import { isS3Error } from './s3-error.ts'
import { joinOnServer } from './server-side-copy.ts'

export type MinioSettings = {
  /** `http://host:port` or `https://host:port`. */
  endpoint: string
  accessKey: string
  secretKey: string
  bucket: string
  /** By default `us-east-1`, which is MinIO's own default. */
  region?: string
}

const answerTimeout = 60_000
/** Ranges of this size and more are read by a connection of their own, smaller ones by one that is kept. */
const largeRange = 1024 * 1024
/** How long a request can be begun after it was signed, in seconds. */
const signedFor = 900

/**
 * Opens a bucket of a MinIO server as an object store and makes it where missing. Parts of uploads
 * that a crashed process did not finish are removed by MinIO itself, after a day by default
 * (`stale_uploads_expiry`).
 */
export async function openMinioStore(settings: MinioSettings): Promise<ObjectStore> {
  const { bucket } = settings
  const options = minioClientOptions(settings)
  const client = new PartClient({
    ...options,
    transport: createTransport(options.useSSL ? 'https:' : 'http:', { answerTimeout }),
    retryOptions: { disableRetry: true },
  })
  if (!(await retrying(() => client.bucketExists(bucket)))) await makeBucket(client, bucket, options.region)
  return new MinioStore(client, bucket)
}

class MinioStore implements ObjectStore {
  readonly #client: PartClient
  readonly #bucket: string

  constructor(client: PartClient, bucket: string) {
    this.#client = client
    this.#bucket = bucket
  }

  async put(key: string, body: Readable | Buffer, options: PutOptions = {}): Promise<{ size: number }> {
    assertObjectKey(key)
    const { contentType = 'application/octet-stream', signal } = options
    const target = { bucket: this.#bucket, key, headers: { 'Content-Type': contentType } }
    if (Buffer.isBuffer(body) && body.length < partSize(1)) {
      // Without the buffer of a whole part that a stream needs.
      signal?.throwIfAborted()
      await uploadBytes(this.#client, target, body)
      return { size: body.length }
    }
    const source = Buffer.isBuffer(body) ? Readable.from([body], { objectMode: false }) : body
    if (signal !== undefined) addAbortSignal(signal, source)
    try {
      return { size: await uploadStream(this.#client, target, source, signal) }
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }

  async putIfAbsent(key: string, body: Buffer): Promise<boolean> {
    assertObjectKey(key)
    try {
      await this.#client.putObject(this.#bucket, key, body, body.length, { 'If-None-Match': '*' })
      return true
    } catch (error) {
      if (isS3Error(error, 'PreconditionFailed')) return false
      throw error
    }
  }

  async get(key: string, range: ByteRange = {}): Promise<Readable> {
    assertObjectKey(key)
    assertByteRange(range)
    const { offset = 0, length } = range
    if (length === 0) {
      if ((await this.stat(key)) === undefined) throw new NoSuchObject(key)
      return Readable.from([], { objectMode: false })
    }
    try {
      return await retrying(() => this.#client.getPartialObject(this.#bucket, key, offset, length))
    } catch (error) {
      if (isS3Error(error, 'NoSuchKey')) throw new NoSuchObject(key, { cause: error })
      if (isS3Error(error, 'InvalidRange')) return Readable.from([], { objectMode: false })
      throw error
    }
  }

  async openRange(key: string, range: Required<ByteRange>): Promise<RangeReader> {
    assertObjectKey(key)
    assertByteRange(range)
    const connection = range.length < largeRange ? undefined : await this.#connectTo(key, range)
    return connection ?? new StreamRangeReader(await this.get(key, range))
  }

  #connectTo(key: string, range: Required<ByteRange>): Promise<RangeConnection | undefined> {
    return retrying(async () => {
      const url = new URL(await this.#client.presignedGetObject(this.#bucket, key, signedFor))
      return RangeConnection.open({ url, range, silence: answerTimeout })
    })
  }

  async join(
    key: string,
    pieces: readonly Piece[],
    { contentType = 'application/octet-stream', signal }: PutOptions = {},
  ): Promise<{ size: number; copied: number }> {
    assertObjectKey(key)
    const target = { bucket: this.#bucket, key, contentType }
    return joinOnServer(this.#client, target, { source: this, pieces, signal })
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    assertObjectKey(key)
    try {
      const { size, lastModified } = await retrying(() => this.#client.statObject(this.#bucket, key))
      return { size, modifiedAt: lastModified }
    } catch (error) {
      if (isS3Error(error, 'NotFound')) return undefined
      throw error
    }
  }

  async remove(key: string): Promise<void> {
    assertObjectKey(key)
    await retrying(() => this.#client.removeObject(this.#bucket, key))
  }

  async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    assertKeyPrefix(prefix)
    let continuation: string | undefined = ''
    do {
      const token: string = continuation
      const page = await retrying(() =>
        this.#client.listObjectsV2Query(this.#bucket, prefix, token, '', 1000, ''),
      )
      for (const { name, size, lastModified } of page.objects) {
        if (name !== undefined) yield { key: name, size, modifiedAt: lastModified }
      }
      continuation = page.isTruncated ? page.nextContinuationToken : undefined
    } while (continuation !== undefined)
  }

  async beginParts(key: string): Promise<PartialObject> {
    assertObjectKey(key)
    const headers = { 'Content-Type': 'application/octet-stream' }
    return { key, uploadId: await this.#client.initiateNewMultipartUpload(this.#bucket, key, headers) }
  }

  async putPart({ key, uploadId }: PartialObject, number: number, bytes: Buffer): Promise<void> {
    try {
      await retrying(() => this.#client.sendPart({ bucket: this.#bucket, key, uploadId, number }, bytes))
    } catch (error) {
      if (isS3Error(error, 'NoSuchUpload')) throw new NoSuchObject(key, { cause: error })
      throw error
    }
  }

  async completeParts(
    { key, uploadId }: PartialObject,
    { count, size }: { count: number; size: number },
  ): Promise<void> {
    try {
      const stored = await retrying(() => this.#client.partsOf(this.#bucket, key, uploadId))
      const parts = stored.filter(({ part }) => part <= count)
      const found = parts.reduce((sum, part) => sum + part.size, 0)
      if (parts.length !== count || found !== size) {
        throw new Error(`${key} has ${parts.length} of ${count} parts, and ${found} of ${size} bytes.`)
      }
      await this.#client.completeMultipartUpload(this.#bucket, key, uploadId, parts)
    } catch (error) {
      if (!isS3Error(error, 'NoSuchUpload')) throw error
      // Completed before, by a call that perhaps could not know it.
      if ((await this.stat(key))?.size !== size) throw new NoSuchObject(key, { cause: error })
    }
  }

  async abortParts({ key, uploadId }: PartialObject): Promise<void> {
    try {
      await retrying(() => this.#client.abortMultipartUpload(this.#bucket, key, uploadId))
    } catch (error) {
      if (!isS3Error(error, 'NoSuchUpload')) throw error
    }
  }

  async check(): Promise<void> {
    if (!(await retrying(() => this.#client.bucketExists(this.#bucket)))) {
      throw new Error(`The object store has no bucket ${this.#bucket}.`)
    }
  }
}

async function makeBucket(client: Client, bucket: string, region: string): Promise<void> {
  try {
    await retrying(() => client.makeBucket(bucket, region))
  } catch (error) {
    // Another process made it at the same time.
    if (!isS3Error(error, 'BucketAlreadyOwnedByYou')) throw error
  }
}
