import { createHash, getHashes } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { finished, Transform } from 'node:stream'
import type { Readable, TransformCallback } from 'node:stream'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ProblemCode } from '@edgesmith/contract/problem'
import { parseDigestHeader } from '@edgesmith/uploads/content-digest'

/** The algorithms of `Upload-Checksum` (tus 1.0, checksum extension, which asks for sha1). */
export const checksumAlgorithms = ['sha1', 'sha256', 'sha512'] as const

/** A digest that the body of one request has to have, and the problem when it has not. */
export type BodyChecksum = { algorithm: string; value: Buffer; mismatch: ProblemCode }

/**
 * Reads the checksums that a request gives for its body: `Upload-Checksum` (tus) and `Content-Digest`.
 * @throws ProblemError `malformed-request`
 */
export function readChecksums(uploadChecksum?: string, contentDigest?: string): BodyChecksum[] {
  const checksums: BodyChecksum[] = []
  if (uploadChecksum !== undefined) {
    const [algorithm = '', encoded = '', ...rest] = uploadChecksum.split(' ')
    const isKnown = checksumAlgorithms.some((known) => known === algorithm) && getHashes().includes(algorithm)
    const value = Buffer.from(encoded, 'base64')
    const isDigest = isKnown && value.length === createHash(algorithm).digest().length
    if (!isDigest || rest.length > 0 || value.toString('base64') !== encoded) {
      throw new ProblemError(
        'malformed-request',
        `Upload-Checksum is not one of ${checksumAlgorithms.join(', ')} and the digest of the body in base64, with one space between them.`,
      )
    }
    checksums.push({ algorithm, value, mismatch: 'checksum-mismatch' })
  }
  if (contentDigest !== undefined) {
    for (const { algorithm, value } of parseDigestHeader('Content-Digest', contentDigest)) {
      checksums.push({ algorithm: algorithm.replace('-', ''), value, mismatch: 'digest-mismatch' })
    }
  }
  return checksums
}

/** Passes a body on and fails at its end when it does not have its checksums. */
export class CheckedBody extends Transform {
  readonly #checksums: readonly (BodyChecksum & { hash: Hash })[]

  constructor(checksums: readonly BodyChecksum[]) {
    super()
    this.#checksums = checksums.map((checksum) => ({ ...checksum, hash: createHash(checksum.algorithm) }))
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    for (const { hash } of this.#checksums) hash.update(chunk)
    done(null, chunk)
  }

  override _flush(done: TransformCallback): void {
    const failed = this.#checksums.find(({ hash, value }) => !hash.digest().equals(value))
    if (failed === undefined) done()
    else {
      done(
        new ProblemError(
          failed.mismatch,
          `The bytes that arrived do not have the ${failed.algorithm} checksum they were sent with. None of them was kept: send them again from the same offset.`,
        ),
      )
    }
  }

  /** Begins to read a request's body, which is not destroyed when this is. */
  readFrom(body: Readable): this {
    finished(body, { writable: false }, (error) => {
      if (error) this.destroy(error)
      else this.end()
    })
    body.pipe(this, { end: false })
    this.once('close', () => body.unpipe(this))
    return this
  }
}
