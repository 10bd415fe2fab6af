import type { BuildFailure, FailureCode } from '@edgesmith/contract/build'

/** A build cannot succeed, and the record is to say why. */
export class BuildFault extends Error {
  override name = 'BuildFault'
  readonly code: FailureCode
  readonly context: Partial<Pick<BuildFailure, 'failingTarget' | 'exitCode'>>

  constructor(
    code: FailureCode,
    detail: string,
    options: Partial<Pick<BuildFailure, 'failingTarget' | 'exitCode'>> & { cause?: unknown } = {},
  ) {
    const { cause, ...context } = options
    super(detail, { cause })
    this.code = code
    this.context = context
  }
}
