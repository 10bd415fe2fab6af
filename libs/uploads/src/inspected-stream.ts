import type { TransformCallback } from 'node:stream'
import { ProblemError } from '@edgesmith/contract/problem'
import type { UploadKind } from '@edgesmith/contract/upload'
import { DigestStream } from '@edgesmith/store/digest-stream'
import { headSize, sniffContentKind } from './content-kind.ts'

/**
 * Passes an upload on while its digest is computed and its first bytes are kept. Fails with the
 * problem `empty-file` when nothing comes and `content-too-large` at the first byte too many.
 */
export class InspectedStream extends DigestStream {
  readonly #limitBytes: number
  readonly #head = Buffer.alloc(headSize)

  constructor(limitBytes: number) {
    super()
    this.#limitBytes = limitBytes
  }

  /** What the content is, known at the end. */
  get kind(): UploadKind {
    const length = Math.min(this.size, headSize)
    return sniffContentKind(this.#head.subarray(0, length), { isWhole: this.size === length })
  }

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    if (this.size + chunk.length > this.#limitBytes) {
      done(new ProblemError('content-too-large', `The file is larger than ${this.#limitBytes} bytes.`))
      return
    }
    if (this.size < headSize) chunk.copy(this.#head, this.size)
    super._transform(chunk, encoding, done)
  }

  override _flush(done: TransformCallback): void {
    done(this.size === 0 ? new ProblemError('empty-file', 'The file has no content.') : null)
  }
}
