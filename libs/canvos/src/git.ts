import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A git command that did not succeed. */
export class GitError extends Error {
  override name = 'GitError'
  /** Exit code of git; undefined when a signal ended it or it could not be started. */
  readonly exitCode: number | undefined

  constructor(message: string, exitCode: number | undefined) {
    super(message)
    this.exitCode = exitCode
  }
}

export type GitOptions = {
  /** Where the command runs. */
  directory?: string
  /** Ends the command with SIGTERM; once it has ended the promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Ends the command after that many milliseconds; two minutes when left out. */
  timeoutMs?: number
}

const configuration = fileURLToPath(new URL('../gitconfig', import.meta.url))

/** What git and the helpers it starts may see of this process's environment. */
const passedOn = [
  'PATH',
  'HOME',
  'TMPDIR',
  'SSH_AUTH_SOCK',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'GIT_SSL_CAINFO',
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
]

function environment(): NodeJS.ProcessEnv {
  const inherited = passedOn.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    ...Object.fromEntries(inherited),
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: configuration,
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: 'https:ssh:git:file',
    GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=15',
  }
}

/** A text without the user name and password that its URLs carry. */
export function withoutCredentials(text: string): string {
  return text.replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi, '$1')
}

/**
 * Runs one git command and answers what it wrote to its standard output.
 *
 * The command sees no configuration but this package's own `gitconfig`, never prompts, and speaks no
 * transport but https, ssh, git and local files. Callers put everything that comes from outside behind
 * `--` or behind a prefix such as `refs/tags/`, so that it cannot act as an option.
 *
 * @throws {GitError} when the command fails or takes too long.
 */
export async function git(commandArguments: readonly string[], options: GitOptions = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const timeoutMs = options.timeoutMs ?? 120_000
  const command = execFile(
    'git',
    commandArguments,
    {
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      env: environment(),
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
    },
    (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout)
        return
      }
      const { signal } = options
      if (signal?.aborted === true) {
        const giveUp = () => {
          reject(signal.reason as Error)
        }
        // Node.js tells of the signal before the command has ended, which may still write into its directory.
        const isRunning =
          command.pid !== undefined && command.exitCode === null && command.signalCode === null
        if (isRunning) command.once('exit', giveUp)
        else giveUp()
        return
      }
      const exitCode = typeof error.code === 'number' ? error.code : undefined
      const reason =
        error.killed === true ? `no end after ${timeoutMs / 1000} s` : stderr.trim() || error.message
      // The error itself carries the whole command, credentials and all.
      reject(new GitError(`git ${commandArguments[0] ?? ''}: ${withoutCredentials(reason)}`, exitCode))
    },
  )
  return promise
}
