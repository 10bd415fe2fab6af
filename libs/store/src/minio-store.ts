import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { addAbortSignal, Readable } from 'node:stream'
import { DamageJudge } from './damage-judge.ts'
import { createTransport } from './minio-transport.ts'
import { abortUpload, uploadBytes, uploadStream } from './multipart-upload.ts'
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
import { readerStream, StreamRangeReader } from './range-reader.ts'
import type { RangeReader } from './range-reader.ts'
import { ResumedReader } from './resumed-reader.ts'
import { retrying, type Patience } from './retry.ts'
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
  /** How long transfers wait for a server that is away, in milliseconds. */
  patienceMs?: number
}

/** By default transfers wait for so long, in milliseconds. */
export const defaultPatienceMs = 180_000
/** How long the server may take to begin an answer to a transfer: it syncs what it is sent to the disk. */
const transferAnswerMs = 60_000
/** What somebody waits for at the other end of a request fails within seconds. */
const briefPatience: Patience = { waitMs: 3000, answerMs: 8000 }
/** Ranges of this size and more are read by a connection of their own, smaller ones by one that is kept. */
const largeRange = 1024 * 1024
/** How long a request can be begun after it was signed, in seconds. */
const signedFor = 900

/**
 * Opens a bucket of a MinIO server as an object store and makes it where missing. Parts of uploads
 * that a crashed process did not finish are removed by MinIO itself, after a day by default
 * (`stale_uploads_expiry`).
 * @param signal ends the waiting for a server that is away
 */
export async function openMinioStore(settings: MinioSettings, signal?: AbortSignal): Promise<ObjectStore> {
  const { bucket, patienceMs = defaultPatienceMs } = settings
  const options = minioClientOptions(settings)
  const open = (patience: Patience): Connection => ({
    patience,
    client: new PartClient({
      ...options,
      transport: createTransport(options.useSSL ? 'https:' : 'http:', { answerTimeout: patience.answerMs }),
      retryOptions: { disableRetry: true },
    }),
  })
  const transfers = open({ waitMs: patienceMs, answerMs: transferAnswerMs })
  await unlessAborted(makeWhereMissing(transfers, bucket, options.region), signal)
  const shortest = Math.min(patienceMs, briefPatience.waitMs)
  return new MinioStore(bucket, { transfers, requests: open({ ...briefPatience, waitMs: shortest }) })
}

/** Waits for what is done no longer than until a signal. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  signal.throwIfAborted()
  const settled = new AbortController()
  const aborted = once(signal, 'abort', { signal: settled.signal }).then((): never => {
    throw signal.reason
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    settled.abort()
  }
}

/** A client, and how long it waits for the server. */
type Connection = { readonly client: PartClient; readonly patience: Patience }

class MinioStore implements ObjectStore {
  readonly #bucket: string
  /** For what has been going on for a while, or is no one's request. */
  readonly #transfers: Connection
  /** For what somebody waits for. */
  readonly #requests: Connection

  constructor(
    bucket: string,
    { transfers, requests }: { readonly transfers: Connection; readonly requests: Connection },
  ) {
    this.#bucket = bucket
    this.#transfers = transfers
    this.#requests = requests
  }

  async put(key: string, body: Readable | Buffer, options: PutOptions = {}): Promise<{ size: number }> {
    assertObjectKey(key)
    const { contentType = 'application/octet-stream', signal } = options
    const headers = { 'Content-Type': contentType }
    const isSmall = Buffer.isBuffer(body) && body.length < partSize(1)
    const { client, patience } = isSmall ? this.#requests : this.#transfers
    const target = { bucket: this.#bucket, key, headers, patience: until(patience, signal) }
    signal?.throwIfAborted()
    try {
      if (isSmall) {
        // Without the buffer of a whole part that a stream needs.
        await uploadBytes(client, target, body)
        return { size: body.length }
      }
      const source = Buffer.isBuffer(body) ? Readable.from([body], { objectMode: false }) : body
      if (signal !== undefined) addAbortSignal(signal, source)
      return { size: await uploadStream(client, target, source, signal) }
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }

  async putIfAbsent(key: string, body: Buffer): Promise<boolean> {
    assertObjectKey(key)
    // Tells an object that this call stored, without getting to know it, from another's.
    const writer = randomUUID()
    return this.#requesting(async (client, attempt) => {
      try {
        await client.putObject(this.#bucket, key, body, body.length, { 'If-None-Match': '*', writer })
        return true
      } catch (error) {
        if (!isS3Error(error, 'PreconditionFailed')) throw error
        if (attempt === 1) return false
        const { metaData } = await client.statObject(this.#bucket, key)
        return new Map(Object.entries(metaData)).get('writer') === writer
      }
    })
  }

  async get(key: string, range: ByteRange = {}): Promise<Readable> {
    assertObjectKey(key)
    assertByteRange(range)
    const { offset = 0, length } = range
    if (length === 0) {
      if ((await this.stat(key)) === undefined) throw new NoSuchObject(key)
      return Readable.from([], { objectMode: false })
    }
    const judge = new DamageJudge(this.#requests.client, { bucket: this.#bucket, key })
    const first = await this.#openBody(this.#requests, { key, offset, length, judge })
    return readerStream(
      this.#resuming(first, { key, offset, end: offset + first.length, judge }),
      first.length,
    )
  }

  async openRange(key: string, range: Required<ByteRange>): Promise<RangeReader> {
    assertObjectKey(key)
    assertByteRange(range)
    const judge = new DamageJudge(this.#requests.client, { bucket: this.#bucket, key })
    const { offset, length } = range
    const first = await this.#openPart(this.#requests, { key, offset, length, judge })
    return this.#resuming(first, { key, offset, end: offset + first.length, judge })
  }

  #resuming(
    { reader, etag }: Body,
    { key, offset, end, judge }: { key: string; offset: number; end: number; judge: DamageJudge },
  ): RangeReader {
    return new ResumedReader({
      first: reader,
      offset,
      judge: (from, read) => judge.reading(from, read),
      reopen: async (from) => {
        const rest = { key, offset: from, length: end - from, etag, judge }
        return from === end ? empty : (await this.#openPart(this.#transfers, rest)).reader
      },
    })
  }

  /** Opens a range by a connection of its own where it is large. */
  async #openPart(connection: Connection, range: BodyRange & { length: number }): Promise<Body> {
    if (range.length < largeRange) return this.#openBody(connection, range)
    const { key, offset, length, etag, judge } = range
    const own = await retrying(connection.patience, async () => {
      const url = new URL(await connection.client.presignedGetObject(this.#bucket, key, signedFor))
      const opening = { url, range: { offset, length }, etag, silence: connection.patience.answerMs }
      return judge.opening(offset, RangeConnection.open(opening))
    })
    return own === undefined
      ? this.#openBody(connection, range)
      : { reader: own, etag: own.etag, length: own.length }
  }

  async #openBody(
    { client, patience }: Connection,
    { key, offset, length, etag, judge }: BodyRange,
  ): Promise<Body> {
    try {
      return await retrying(patience, async () => {
        const reading = client.getRange({ bucket: this.#bucket, key, offset, length, etag })
        const answer = await judge.opening(offset, reading)
        return {
          reader: new StreamRangeReader(answer),
          etag: answer.headers.etag,
          length: Number(answer.headers['content-length'] ?? 0),
        }
      })
    } catch (error) {
      if (isS3Error(error, 'NoSuchKey')) throw new NoSuchObject(key, { cause: error })
      if (isS3Error(error, 'InvalidRange')) return { reader: empty, etag, length: 0 }
      if (isS3Error(error, 'PreconditionFailed')) {
        throw new Error(`The object ${key} was replaced while it was read.`, { cause: error })
      }
      throw error
    }
  }

  /** Runs an operation that somebody waits for. */
  #requesting<Result>(operation: (client: PartClient, attempt: number) => Promise<Result>): Promise<Result> {
    const { client, patience } = this.#requests
    return retrying(patience, (attempt) => operation(client, attempt))
  }

  #transferring<Result>(operation: (client: PartClient) => Promise<Result>): Promise<Result> {
    const { client, patience } = this.#transfers
    return retrying(patience, () => operation(client))
  }

  async join(
    key: string,
    pieces: readonly Piece[],
    { contentType = 'application/octet-stream', signal }: PutOptions = {},
  ): Promise<{ size: number; copied: number }> {
    assertObjectKey(key)
    const { client, patience } = this.#transfers
    const target = { bucket: this.#bucket, key, contentType, patience: until(patience, signal) }
    try {
      return await joinOnServer(client, target, { source: this.patient(signal), pieces, signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    assertObjectKey(key)
    try {
      const judge = new DamageJudge(this.#requests.client, { bucket: this.#bucket, key })
      const { size, lastModified } = await this.#requesting((client) =>
        judge.opening(0, client.statObject(this.#bucket, key)),
      )
      return { size, modifiedAt: lastModified }
    } catch (error) {
      if (isS3Error(error, 'NotFound')) return undefined
      throw error
    }
  }

  async remove(key: string): Promise<void> {
    assertObjectKey(key)
    await this.#requesting((client) => client.removeObject(this.#bucket, key))
  }

  async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    assertKeyPrefix(prefix)
    let continuation: string | undefined = ''
    do {
      const token: string = continuation
      const page = await this.#requesting((client) =>
        client.listObjectsV2Query(this.#bucket, prefix, token, '', 1000, ''),
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
    const uploadId = await this.#requesting((client) =>
      client.initiateNewMultipartUpload(this.#bucket, key, { ...headers }),
    )
    return { key, uploadId }
  }

  async putPart({ key, uploadId }: PartialObject, number: number, bytes: Buffer): Promise<void> {
    const target = { bucket: this.#bucket, key, uploadId, number }
    try {
      await this.#transferring((client) => client.sendPart(target, bytes))
    } catch (error) {
      if (isS3Error(error, 'NoSuchUpload')) throw new NoSuchObject(key, { cause: error })
      throw error
    }
  }

  async completeParts(
    { key, uploadId }: PartialObject,
    { count, size }: { count: number; size: number },
  ): Promise<void> {
    const target = { bucket: this.#bucket, key, uploadId }
    try {
      const stored = await this.#transferring((client) => client.partsOf(this.#bucket, key, uploadId))
      const parts = stored.filter(({ part }) => part <= count)
      const found = parts.reduce((sum, part) => sum + part.size, 0)
      if (parts.length !== count || found !== size) {
        throw new Error(`${key} has ${parts.length} of ${count} parts, and ${found} of ${size} bytes.`)
      }
      await this.#transferring((client) => client.completeParts(target, parts))
    } catch (error) {
      if (!isS3Error(error, 'NoSuchUpload')) throw error
      // Completed before, by a call that perhaps could not know it.
      if ((await this.stat(key))?.size !== size) throw new NoSuchObject(key, { cause: error })
    }
  }

  async abortParts({ key, uploadId }: PartialObject): Promise<void> {
    const { client, patience } = this.#requests
    await abortUpload(client, { bucket: this.#bucket, key, uploadId }, patience)
  }

  async check(): Promise<void> {
    if (!(await this.#requesting((client) => client.bucketExists(this.#bucket)))) {
      throw new Error(`The object store has no bucket ${this.#bucket}.`)
    }
  }

  patient(signal?: AbortSignal): ObjectStore {
    const { client, patience } = this.#transfers
    const waiting = { client, patience: until(patience, signal) }
    return new MinioStore(this.#bucket, { transfers: waiting, requests: waiting })
  }
}

/** A patience that another signal ends, too. */
function until(patience: Patience, signal: AbortSignal | undefined): Patience {
  if (signal === undefined) return patience
  return {
    ...patience,
    signal: patience.signal === undefined ? signal : AbortSignal.any([signal, patience.signal]),
  }
}

/** Bytes of an object that are to be read, and what judges how that went. */
type BodyRange = {
  readonly key: string
  readonly offset: number
  readonly length: number | undefined
  readonly etag?: string | undefined
  readonly judge: DamageJudge
}

/** Bytes that the server has begun to send: how many there will be, and of which version of the object. */
type Body = { readonly reader: RangeReader; readonly etag: string | undefined; readonly length: number }

const empty: RangeReader = {
  read: () => Promise.resolve(0),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

async function makeWhereMissing(
  { client, patience }: Connection,
  bucket: string,
  region: string,
): Promise<void> {
  if (await retrying(patience, () => client.bucketExists(bucket))) return
  try {
    await retrying(patience, () => client.makeBucket(bucket, region))
  } catch (error) {
    // Another process made it at the same time.
    if (!isS3Error(error, 'BucketAlreadyOwnedByYou')) throw error
  }
}
