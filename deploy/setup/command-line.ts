import { say } from './progress.ts'

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // A programming fault needs its stack; what set-up throws says what to do.
  const text =
    error instanceof TypeError || error instanceof ReferenceError ? String(error.stack) : error.message
  return error.cause === undefined ? text : `${text}\n  because: ${describe(error.cause)}`
}

/** Runs a command of this repository: a failure is told on standard error, with exit code 1. */
export async function runCommandLine(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    say(`${name}: failed. ${describe(error)}`)
    process.exitCode = 1
  }
}
