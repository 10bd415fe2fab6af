import { createHash, timingSafeEqual } from 'node:crypto'
import type { Hash } from 'node:crypto'
import type { TransformCallback } from 'node:stream'
import { ProblemError } from '@edgesmith/contract/problem'
import type { UploadKind } from '@edgesmith/contract/upload'
import { DigestStream } from '@edgesmith/store/digest-stream'
import type { ContentDigest } from './content-digest.ts'
import { headSize, sniffContentKind } from './content-kind.ts'
import { integrityCheck } from './integrity.ts'
import type { IntegrityCheck } from './integrity.ts'
import type { UploadLimits } from './upload-limits.ts'
import { countYoungGarbage } from './young-garbage.ts'

/** Uploads up to this size, in bytes, are kept in memory as well: user-data is smaller. */
const keptSize = 256 * 1024

/**
 * Passes an upload on while its digest is computed, its first bytes are kept, and a compressed file
 * is decompressed for a test. Fails with the problems `empty-file` when nothing comes,
 * `content-too-large` at the first byte too many, `corrupt-file`, and `digest-mismatch` when the
 * content does not have a digest that was expected of it.
 */
export class InspectedStream extends DigestStream {
  readonly #limits: UploadLimits
  readonly #expected: readonly ContentDigest[]
  readonly #sha512: Hash | undefined
  readonly #head = Buffer.alloc(headSize)
  readonly #kept: Buffer[] = []
  #integrity: IntegrityCheck | undefined
  #sha256: string | undefined

  constructor(limits: UploadLimits, expected: readonly ContentDigest[] = []) {
    super()
    this.#limits = limits
    this.#expected = expected
    if (expected.some(({ algorithm }) => algorithm === 'sha-512')) this.#sha512 = createHash('sha512')
  }

  /** What the content is, known at the end. */
  get kind(): UploadKind {
    const length = Math.min(this.size, headSize)
    return sniffContentKind(this.#head.subarray(0, length), { isWhole: this.size === length })
  }

  /** All bytes that have passed, where they are few (256 KiB at the most). */
  get bytes(): Buffer | undefined {
    return this.size <= keptSize ? Buffer.concat(this.#kept) : undefined
  }

  override digest(): string {
    this.#sha256 ??= super.digest()
    return this.#sha256
  }

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    const before = this.size
    if (before + chunk.length > this.#limits.limitBytes) {
      done(new ProblemError('content-too-large', `The file is larger than ${this.#limits.limitBytes} bytes.`))
      return
    }
    countYoungGarbage(chunk.length)
    if (before < headSize) chunk.copy(this.#head, before)
    if (before + chunk.length <= keptSize) this.#kept.push(Buffer.from(chunk))
    else this.#kept.length = 0
    this.#sha512?.update(chunk)
    super._transform(chunk, encoding, (_error, passed) => {
      const checked = this.#check(chunk, before)
      if (checked === undefined) done(null, passed)
      else
        checked.then(() => {
          done(null, passed)
        }, done)
    })
  }

  override _flush(done: TransformCallback): void {
    this.#finish().then(() => {
      done()
    }, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#integrity?.close()
    super._destroy(error, done)
  }

  /** Has a chunk checked that comes after `before` bytes; the kind is known when the head is full. */
  #check(chunk: Buffer, before: number): Promise<void> | undefined {
    if (this.size < headSize) return undefined
    if (before >= headSize) return this.#integrity?.write(chunk)
    return this.#checkHead(chunk.subarray(headSize - before))
  }

  async #checkHead(rest: Buffer): Promise<void> {
    this.#integrity = integrityCheck(this.kind, this.#limits)
    await this.#integrity?.write(this.#head.subarray(0, Math.min(this.size, headSize)))
    if (rest.length > 0) await this.#integrity?.write(rest)
  }

  async #finish(): Promise<void> {
    if (this.size === 0) throw new ProblemError('empty-file', 'The file has no content.')
    if (this.size < headSize) await this.#checkHead(Buffer.alloc(0))
    await this.#integrity?.end()
    const found = { 'sha-256': Buffer.from(this.digest(), 'hex'), 'sha-512': this.#sha512?.digest() }
    for (const { algorithm, value } of this.#expected) {
      const computed = found[algorithm]
      if (computed !== undefined && timingSafeEqual(computed, value)) continue
      throw new ProblemError(
        'digest-mismatch',
        `The content that arrived does not have the ${algorithm} digest it was sent with: it has ${algorithm}=:${computed?.toString('base64') ?? ''}:. Send it again; when that does not help, compute the digest of the file anew.`,
      )
    }
  }
}
