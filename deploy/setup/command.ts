import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** A program ended with an exit code other than 0, or by a signal. */
export class CommandError extends Error {
  override name = 'CommandError'
}

export type CommandOptions = {
  /** Variables set in addition to this process's own. */
  readonly env?: Readonly<Record<string, string>>
  /** Working directory. */
  readonly cwd?: string
  /** Ends the program with SIGTERM. */
  readonly signal?: AbortSignal
  /** Where its standard error goes: to this process's, or only into the error of a failure. */
  readonly stderr?: 'inherit' | 'quiet'
}

const keptErrorCharacters = 4000

/**
 * Runs a program without input to its end and returns what it wrote on standard output.
 * @throws CommandError when it fails; the message has the end of its standard error.
 */
export async function runCommand(
  command: string,
  commandArguments: readonly string[],
  { env, cwd, signal, stderr = 'inherit' }: CommandOptions = {},
): Promise<string> {
  const child = spawn(command, commandArguments, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    cwd,
    signal,
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-keptErrorCharacters)
    if (stderr === 'inherit') process.stderr.write(text)
  })
  const [exitCode, endSignal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  if (exitCode !== 0) {
    const end =
      exitCode === null ? `was ended by ${endSignal ?? 'a signal'}` : `ended with exit code ${exitCode}`
    throw new CommandError(
      `${[command, ...commandArguments].join(' ')} ${end}.\n${errors.trimEnd()}`.trimEnd(),
    )
  }
  return output
}

/** The last line of a program's output that is not blank: where our scripts put their result. */
export function lastLine(output: string): string {
  const line = output.trimEnd().split('\n').at(-1)?.trim() ?? ''
  if (line === '') throw new CommandError('The program printed no result.')
  return line
}
