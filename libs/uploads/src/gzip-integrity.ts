import { createGunzip } from 'node:zlib'
import { ProblemError } from '@edgesmith/contract/problem'
import { corruptFile } from './corrupt-file.ts'
import { Decompression } from './decompression.ts'
import { Expansion } from './expansion.ts'
import type { IntegrityCheck } from './integrity.ts'
import type { UploadLimits } from './upload-limits.ts'

const outputSize = 128 * 1024

/** Decompresses a gzip file of one or several members; zeros may follow them (RFC 1952, as gzip(1) does). */
export class GzipIntegrity implements IntegrityCheck {
  readonly #expansion: Expansion
  readonly #decompression: Decompression

  constructor(limits: UploadLimits) {
    this.#expansion = new Expansion('gzip', limits)
    this.#decompression = new Decompression(createGunzip({ chunkSize: outputSize }), (bytes) => {
      this.#expansion.wrote(bytes)
    })
  }

  async write(bytes: Buffer): Promise<void> {
    this.#expansion.read(bytes.length)
    await this.#decompression.write(bytes).catch(throwProblem)
  }

  async end(): Promise<void> {
    await this.#decompression.end().catch(throwProblem)
  }

  close(): void {
    this.#decompression.close()
  }
}

function throwProblem(error: unknown): never {
  if (error instanceof ProblemError || !(error instanceof Error)) throw error
  const { code } = error as NodeJS.ErrnoException
  if (code === 'Z_BUF_ERROR') {
    throw corruptFile(
      'gzip.truncated',
      'The gzip file ends before its content does: it was cut short or damaged. Test it with `gzip -t`, and make or fetch it again.',
      error,
    )
  }
  if (code?.startsWith('Z_') !== true) throw error
  throw corruptFile(
    'gzip.corrupt',
    `The gzip file is damaged (${error.message}). Test it with \`gzip -t\`, and make or fetch it again.`,
    error,
  )
}
