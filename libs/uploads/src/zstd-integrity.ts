import { createZstdDecompress } from 'node:zlib'
import { ProblemError } from '@edgesmith/contract/problem'
import { corruptFile } from './corrupt-file.ts'
import { Decompression } from './decompression.ts'
import { Expansion } from './expansion.ts'
import type { IntegrityCheck } from './integrity.ts'
import type { UploadLimits } from './upload-limits.ts'
import { ZstdFormatError, ZstdFrames } from './zstd-frames.ts'

const outputSize = 128 * 1024

/** Frames cost more than their bytes: beyond the first, each has to have this many bytes on average. */
const freeFrames = 10_000
const averageFrameSize = 1024

/** Decompresses each frame of a Zstandard file, and finds what is between and behind them. */
export class ZstdIntegrity implements IntegrityCheck {
  readonly #expansion: Expansion
  readonly #frames = new ZstdFrames()
  #frame: Decompression | undefined
  #size = 0

  constructor(limits: UploadLimits) {
    this.#expansion = new Expansion('zstd', limits)
  }

  async write(bytes: Buffer): Promise<void> {
    this.#expansion.read(bytes.length)
    this.#size += bytes.length
    try {
      for (const piece of this.#frames.split(bytes)) {
        if (piece.at === 'begin') this.#begin()
        else if (piece.at === 'bytes') await this.#frame?.write(piece.bytes)
        else await this.#frame?.end()
      }
    } catch (error) {
      throwProblem(error)
    }
    if (this.#frames.frames > freeFrames + this.#size / averageFrameSize) {
      throw corruptFile(
        'zstd.too-many-frames',
        'The Zstandard file is made of very many tiny frames. Compress it again as one, with `zstd`.',
      )
    }
  }

  end(): Promise<void> {
    if (this.#frames.isComplete) return Promise.resolve()
    return Promise.reject(
      corruptFile(
        'zstd.truncated',
        'The Zstandard file ends in the middle of a frame: it was cut short. Test it with `zstd -t`, and make or fetch it again.',
      ),
    )
  }

  close(): void {
    this.#frame?.close()
  }

  #begin(): void {
    this.#frame = new Decompression(createZstdDecompress({ chunkSize: outputSize }), (bytes) => {
      this.#expansion.wrote(bytes)
    })
  }
}

function throwProblem(error: unknown): never {
  if (error instanceof ProblemError || !(error instanceof Error)) throw error
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ZSTD_error_frameParameter_windowTooLarge') {
    throw corruptFile(
      'zstd.window-too-large',
      'The Zstandard file needs a window of more than 128 MiB to be decompressed. Compress it again without `--long` or `--ultra`.',
      error,
    )
  }
  const isFormat = error instanceof ZstdFormatError || code?.startsWith('ZSTD_error_') === true
  if (!isFormat && code?.startsWith('Z_') !== true) throw error
  throw corruptFile(
    'zstd.corrupt',
    `The Zstandard file is damaged (${error.message.replace(/\.$/, '')}). Test it with \`zstd -t\`, and make or fetch it again.`,
    error,
  )
}
