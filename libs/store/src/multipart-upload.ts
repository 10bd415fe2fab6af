import type { Readable } from 'node:stream'
import { cutIntoParts, PartBuffers, partSize } from './parts.ts'
import type { Part } from './parts.ts'
import type { PartClient } from './part-client.ts'
import { retrying, type Patience } from './retry.ts'
import { isS3Error } from './s3-error.ts'

/** Where an upload goes, and the HTTP headers that go with it. */
export type UploadTarget = {
  bucket: string
  key: string
  headers: Record<string, string>
  /** How long a server that is away is waited for. */
  patience: Patience
}

/** How many parts of one object are sent at a time; one more is being filled. */
const maximumInFlight = 2

/** How long a server that is away is waited for to abort an upload, in milliseconds. */
const longestAbort = 20_000

/** Sends bytes that are fewer than a part, in one request. */
export async function uploadBytes(
  client: PartClient,
  { bucket, key, headers, patience }: UploadTarget,
  bytes: Buffer,
): Promise<void> {
  await retrying(patience, () => client.sendObject({ bucket, key, headers }, bytes))
}

/**
 * Sends a stream of unknown size to the server, in one request when it is shorter than a part, and
 * returns its size. The minio client's own `putObject` is not fit for that: it continues whatever
 * incomplete upload of the key it finds, so that two writers mix, it sends one part at a time, and
 * it leaves the upload incomplete when the stream fails.
 */
export async function uploadStream(
  client: PartClient,
  target: UploadTarget,
  source: Readable,
  signal?: AbortSignal,
): Promise<number> {
  using buffers = new PartBuffers()
  const parts = cutIntoParts(source, buffers)
  const first = await parts.next()
  if (first.done === true) throw new Error('The stream was cut into no parts.')
  const { bytes } = first.value
  if (bytes.length < partSize(1)) {
    signal?.throwIfAborted()
    await uploadBytes(client, target, bytes)
    buffers.recycle(bytes)
    return bytes.length
  }
  try {
    const upload = await MultipartUpload.start(client, target)
    try {
      upload.send(first.value, source, buffers)
      for await (const part of parts) {
        upload.send(part, source, buffers)
        await upload.hasRoom()
      }
      await upload.allSent()
      signal?.throwIfAborted()
      return await upload.complete()
    } catch (error) {
      await upload.abort()
      throw error
    }
  } finally {
    source.destroy()
  }
}

/** An upload in parts that has begun: it is to be completed or aborted. */
class MultipartUpload {
  readonly #client: PartClient
  readonly #target: UploadTarget
  readonly #id: string
  readonly #sent: { part: number; etag: string }[] = []
  readonly #inFlight = new Set<Promise<void>>()
  #size = 0

  private constructor(client: PartClient, target: UploadTarget, id: string) {
    this.#client = client
    this.#target = target
    this.#id = id
  }

  static async start(client: PartClient, target: UploadTarget): Promise<MultipartUpload> {
    const { bucket, key, headers, patience } = target
    const id = await retrying(patience, () => client.initiateNewMultipartUpload(bucket, key, { ...headers }))
    return new MultipartUpload(client, target, id)
  }

  /** Begins to send a part. Its buffer is recycled when it is sent; the source is destroyed if that fails. */
  send(part: Part, source: Readable, buffers: PartBuffers): void {
    const sending = this.#sendPart(part).then(() => {
      buffers.recycle(part.bytes)
      this.#inFlight.delete(sending)
    })
    sending.catch((error: unknown) => {
      source.destroy(
        error instanceof Error ? error : new Error('A part could not be sent.', { cause: error }),
      )
    })
    this.#inFlight.add(sending)
  }

  /** Waits until another part may be sent. Throws when a part could not be sent. */
  async hasRoom(): Promise<void> {
    if (this.#inFlight.size >= maximumInFlight) await Promise.race(this.#inFlight)
  }

  /** Waits until all parts are sent. Throws when one could not be. */
  async allSent(): Promise<void> {
    await Promise.all(this.#inFlight)
  }

  /** Makes the object of its parts and returns its size in bytes. */
  async complete(): Promise<number> {
    const { bucket, key, patience } = this.#target
    const inOrder = this.#sent.toSorted((a, b) => a.part - b.part)
    await retrying(patience, () => this.#client.completeParts({ bucket, key, uploadId: this.#id }, inOrder))
    return this.#size
  }

  /** Removes the parts. Waits for those on their way first, which would be kept if they came later. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#inFlight)
    const { bucket, key, patience } = this.#target
    await abortUpload(this.#client, { bucket, key, uploadId: this.#id }, patience)
  }

  async #sendPart({ number, bytes }: Part): Promise<void> {
    const { bucket, key, patience } = this.#target
    const etag = await retrying(patience, () =>
      this.#client.sendPart({ bucket, key, uploadId: this.#id, number }, bytes),
    )
    this.#sent.push({ part: number, etag })
    this.#size += bytes.length
  }
}

/**
 * Removes the parts of an incomplete upload; one that isn't there is no error. Not waited for so long as for
 * what somebody wants to have: MinIO removes them itself after a while.
 */
export async function abortUpload(
  client: PartClient,
  { bucket, key, uploadId }: { bucket: string; key: string; uploadId: string },
  { waitMs, answerMs }: Patience,
): Promise<void> {
  try {
    await retrying({ waitMs: Math.min(waitMs, longestAbort), answerMs }, () =>
      client.abortMultipartUpload(bucket, key, uploadId),
    )
  } catch (error) {
    if (!isS3Error(error, 'NoSuchUpload')) throw error
  }
}
