import { ProblemError } from '@edgesmith/contract/problem'

/** The problem of a file whose own format says that it is broken, or that is not fit to be opened. */
export function corruptFile(code: string, message: string, cause?: unknown): ProblemError {
  return new ProblemError('corrupt-file', message, {
    errors: [
      {
        severity: 'error',
        code,
        message,
        source: 'request',
        documentation: `docs/uploads.md#${code.replaceAll('.', '')}`,
      },
    ],
    cause,
  })
}
