import type { InputRule } from './input-rules.ts'

/** An archive that cannot be read any further. */
export class ArchiveFault extends Error {
  override name = 'ArchiveFault'
  readonly code: InputRule

  /** @param message what is wrong and what to do about it, for the user */
  constructor(code: InputRule, message: string) {
    super(message)
    this.code = code
  }
}
