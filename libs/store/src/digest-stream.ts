import { createHash } from 'node:crypto'
import { finished, Transform } from 'node:stream'
import type { Readable, TransformCallback } from 'node:stream'
import type { ObjectStore, PutOptions } from './object-store.ts'

/** Passes bytes on while it counts them and computes their SHA-256. */
export class DigestStream extends Transform {
  readonly #hash = createHash('sha256')
  #size = 0

  /** How many bytes have passed. */
  get size(): number {
    return this.#size
  }

  /** The SHA-256 of the bytes as lowercase hex. To be asked once, at the end. */
  digest(): string {
    return this.#hash.digest('hex')
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(chunk)
    this.#size += chunk.length
    done(null, chunk)
  }
}

/**
 * Stores what a source yields, passed through a transform that can look at it or refuse it. When
 * this fails the transform is destroyed but the source is only left unread: it may be the body of
 * an HTTP request whose connection is still needed for the answer.
 */
export async function putThrough(
  store: ObjectStore,
  key: string,
  { source, through }: { source: Readable; through: Transform },
  options?: PutOptions,
): Promise<void> {
  finished(source, { writable: false }, (error) => {
    if (error) through.destroy(error)
    else through.end()
  })
  source.pipe(through)
  try {
    await store.put(key, through, options)
  } finally {
    source.unpipe(through)
  }
}
