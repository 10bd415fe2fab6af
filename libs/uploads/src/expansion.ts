import { corruptFile } from './corrupt-file.ts'
import { defaultExpandedLimitBytes, defaultExpansionRatio } from './upload-limits.ts'
import type { UploadLimits } from './upload-limits.ts'

/** How much content is free of the ratio, in bytes: small files of few different bytes are no bombs. */
const freeBytes = 64 * 1024 * 1024

/** Compares a compressed file with its content while both are counted. */
export class Expansion {
  readonly #format: 'zstd' | 'gzip'
  readonly #limits: UploadLimits
  #compressed = 0
  #expanded = 0

  constructor(format: 'zstd' | 'gzip', limits: UploadLimits) {
    this.#format = format
    this.#limits = limits
  }

  /** Counts bytes of the file. */
  read(bytes: number): void {
    this.#compressed += bytes
  }

  /** Counts bytes of its content. Throws the problem `corrupt-file` when they are too many. */
  wrote(bytes: number): void {
    this.#expanded += bytes
    const { expandedLimitBytes = defaultExpandedLimitBytes, expansionRatio = defaultExpansionRatio } =
      this.#limits
    if (this.#expanded > expandedLimitBytes) {
      throw corruptFile(
        `${this.#format}.bomb`,
        `The file holds more than ${expandedLimitBytes} bytes when it is decompressed, which is more than this service takes. Split it, or leave out what is not needed.`,
      )
    }
    if (this.#expanded > freeBytes + this.#compressed * expansionRatio) {
      throw corruptFile(
        `${this.#format}.bomb`,
        `The file grows to more than ${expansionRatio} times its size when it is decompressed. Leave out files that hold nothing but zeros, such as empty disk images.`,
      )
    }
  }
}
