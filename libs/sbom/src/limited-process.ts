import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, type FileHandle } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

export type LimitedCommand = {
  readonly program: string
  readonly options: readonly string[]
  /** All that it has of an environment. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Bytes of standard output that are taken. */
  readonly outputLimit: number
}

/** Of one process: address space in bytes, processor time in seconds, bytes of a file it writes, open files. */
const limits = ['--as=4294967296', '--cpu=60', '--fsize=0', '--nofile=256', '--core=0']

/** Wall-clock time, in milliseconds. */
const timeLimitMs = 120_000

/** User and group `nobody` of every Linux. */
const nobody = '65534'

/** A program cannot be started, or did not end as it should. */
export class LimitedProcessError extends Error {
  override name = 'LimitedProcessError'
}

/**
 * Runs a program on data that nobody vouches for, and returns what it wrote on standard output: without network
 * where this process may cut it off, without capabilities and as nobody where this process is root, with no more
 * memory and time than it needs, and without writing a file.
 * @throws LimitedProcessError
 */
export async function runLimited({
  program,
  options,
  env,
  cwd,
  outputLimit,
}: LimitedCommand): Promise<Buffer> {
  await using file = await openProgram(program)
  const command = [...(await isolation()), 'prlimit', ...limits, '--', `/proc/self/fd/${programDescriptor}`]
  const [launcher = '', ...words] = [...command, ...options]
  const child = spawn(launcher, words, {
    cwd,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe', file.fd],
  })
  const closed = once(child, 'close')
  closed.catch(() => undefined)
  const timer = setTimeout(() => child.kill('SIGKILL'), timeLimitMs)
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-2000)))
  try {
    const parts: Buffer[] = []
    let length = 0
    for await (const part of child.stdout as AsyncIterable<Buffer>) {
      length += part.length
      if (length > outputLimit) throw new LimitedProcessError(`It wrote more than ${outputLimit} bytes.`)
      parts.push(part)
    }
    await closed
    if (child.exitCode === 0) return Buffer.concat(parts)
    const end = child.exitCode === null ? String(child.signalCode) : `exit code ${child.exitCode}`
    throw new LimitedProcessError(`${program} ended with ${end}. ${errors.trim()}`)
  } catch (error) {
    if (error instanceof LimitedProcessError) throw error
    throw new LimitedProcessError(`${program} cannot be run.`, { cause: error })
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}

/** The program is handed over open: nobody may not see the directory that it is in. */
const programDescriptor = 3

async function openProgram(program: string): Promise<FileHandle> {
  const directories = program.includes('/') ? [''] : (process.env['PATH'] ?? '').split(delimiter)
  let failure: unknown
  for (const directory of directories) {
    try {
      return await open(directory === '' ? program : join(directory, program))
    } catch (error) {
      failure = error
    }
  }
  throw new LimitedProcessError(`${program} cannot be found.`, { cause: failure })
}

/** The words before a command that take from it what it has no use for. */
let isolationWords: Promise<readonly string[]> | undefined

function isolation(): Promise<readonly string[]> {
  isolationWords ??= findIsolation()
  return isolationWords
}

async function findIsolation(): Promise<readonly string[]> {
  const isRoot = process.getuid?.() === 0
  const withoutNetwork = isRoot
    ? ['unshare', '--net', '--']
    : ['unshare', '--user', '--map-current-user', '--net', '--']
  const asNobody = [
    ...['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'],
    ...['--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', '--'],
  ]
  const withoutPrivileges = isRoot ? asNobody : ['setpriv', '--no-new-privs', '--']
  for (const words of [[...withoutNetwork, ...withoutPrivileges], withoutPrivileges]) {
    const [launcher = '', ...rest] = words
    // A container without the right to make namespaces runs it beside its own network.
    const works = promisify(execFile)(launcher, [...rest, 'true']).then(
      () => true,
      () => false,
    )
    if (await works) return words
  }
  return []
}
