import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { access, constants, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { closeRedis, openRedis } from './redis-connection.ts'

export type RedisServerOptions = {
  /** Directory of the append-only file; made where missing, and used by one server at a time. */
  dataDirectory: string
  /** Told when the server ends before it was disposed of. */
  onUnexpectedExit: (error: Error) => void
  /** How long the server may take to load its data, in milliseconds; a minute when left out. */
  startTimeoutMs?: number
}

export type RedisServer = AsyncDisposable & {
  /** URL for `openRedis`: a socket that only this user can reach. */
  url: string
  pid: number
}

/** Programs the server is run with, and the Debian packages they come from. */
const programs = { 'redis-server': 'redis-server', setpriv: 'util-linux', flock: 'util-linux' } as const

/** A socket's path has to fit `sun_path`, 108 bytes with its end (unix(7)). */
const maxSocketPath = 107

/** What `flock` ends with when another process has the lock. */
const lockedExitCode = 75

/**
 * How long another server may have the lock, in seconds: one whose process was killed is told so by the kernel, and
 * takes a moment to end after its clients see it go.
 */
const lockTimeoutSeconds = 5

/**
 * How long the server may take to stop, before it is killed, in milliseconds: that loses nothing, for all that it
 * has answered is on disk.
 */
const stopTimeoutMs = 3000

const keptLines = 20

/** Written by the server itself; only for the message that names the process. */
const pidFile = 'redis.pid'

/**
 * Starts a redis-server that keeps everything on disk before it answers (`appendfsync always`), on a
 * unix socket in a private directory. The kernel ends it when this process dies, and holds a lock on
 * the data directory for as long as it lives. Dispose of the answer to stop it.
 * @throws Error when a program is absent, the directory is in use, or the server ends or does not
 * answer; with the last lines of its output
 */
export async function startRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  for (const [program, debianPackage] of Object.entries(programs))
    await requireProgram(program, debianPackage)
  const dataDirectory = resolve(options.dataDirectory)
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 })
  const socketDirectory = await makeSocketDirectory()
  const socket = join(socketDirectory, 'redis.sock')
  const server = new RedisProcess(dataDirectory, socket)
  const stop = async () => {
    await server.stop()
    await rm(socketDirectory, { recursive: true, force: true })
  }
  try {
    const pid = await server.waitUntilReady(options.startTimeoutMs ?? 60_000)
    void server.ended.then((error) => {
      if (!server.stopping) options.onUnexpectedExit(error)
    })
    return { url: `unix://${encodeURI(socket)}`, pid, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

class RedisProcess {
  /** Settles with the reason when the process has ended. */
  readonly ended: Promise<Error>
  stopping = false
  readonly #child: ChildProcess
  readonly #socket: string
  readonly #dataDirectory: string
  readonly #lines: string[] = []

  constructor(dataDirectory: string, socket: string) {
    this.#socket = socket
    this.#dataDirectory = dataDirectory
    this.#child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'TERM', '--'],
        ...['flock', '--timeout', String(lockTimeoutSeconds), '--no-fork'],
        ...['--conflict-exit-code', String(lockedExitCode)],
        join(dataDirectory, 'lock'),
        ...['redis-server', '--port', '0', '--unixsocket', socket, '--unixsocketperm', '700'],
        ...['--dir', dataDirectory, '--appendonly', 'yes', '--appendfsync', 'always', '--save', ''],
        ...[
          '--pidfile',
          join(dataDirectory, pidFile),
          '--maxmemory-policy',
          'noeviction',
          '--daemonize',
          'no',
          '--always-show-logo',
          'no',
        ],
      ],
      // Out of reach of a terminal's Ctrl-C: it ends when whoever started it has closed its connections.
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    )
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#lines.push(...text.split('\n').filter((line) => line !== ''))
        this.#lines.splice(0, this.#lines.length - keptLines)
      })
    }
    this.ended = new Promise((settle) => {
      this.#child.once('error', (error) => {
        settle(new Error('redis-server cannot be run.', { cause: error }))
      })
      this.#child.once('close', (code, signal) => {
        settle(this.#describeEnd(code, signal))
      })
    })
  }

  /** Waits until the server answers; the answer is its process id. */
  async waitUntilReady(timeoutMs: number): Promise<number> {
    const timer = new AbortController()
    const redis = openRedis(this.#socket, {
      patience: 'endless',
      name: 'edgesmith-start',
      onError: () => undefined,
    })
    try {
      const reason = await Promise.race([
        redis.ping().then(() => undefined),
        this.ended,
        delay(timeoutMs, this.#describeSilence(timeoutMs), { signal: timer.signal }),
      ])
      if (reason instanceof Error) throw reason
      const { pid } = this.#child
      if (pid === undefined) throw new Error('redis-server has no process id.')
      return pid
    } finally {
      timer.abort()
      await closeRedis(redis)
    }
  }

  async stop(): Promise<void> {
    this.stopping = true
    this.#child.kill('SIGTERM')
    // One that is held still would not notice.
    this.#child.kill('SIGCONT')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs)
    await this.ended
    clearTimeout(timer)
  }

  async #describeEnd(code: number | null, signal: NodeJS.Signals | null): Promise<Error> {
    if (code === lockedExitCode) {
      return new Error(
        `The data directory ${this.#dataDirectory} is in use by another redis-server${await this.#nameOwner()}. ` +
          'Stop that one, or choose another directory.',
      )
    }
    const how = signal === null ? `with exit code ${String(code)}` : `by ${signal}`
    return new Error(`redis-server ended ${how}. Its last lines:\n${this.#lines.join('\n')}`)
  }

  /** The other server writes its id only once it has loaded its data. */
  async #nameOwner(): Promise<string> {
    const files = await readdir(this.#dataDirectory)
    if (!files.includes(pidFile)) return ''
    return `, process ${(await readFile(join(this.#dataDirectory, pidFile), 'utf8')).trim()}`
  }

  #describeSilence(timeoutMs: number): Error {
    return new Error(`redis-server did not answer within ${timeoutMs} ms.`)
  }
}

async function requireProgram(program: string, debianPackage: string): Promise<void> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const found = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return
  }
  throw new Error(
    `${program} is not installed: install the Debian package ${debianPackage} (apt-get install ${debianPackage}).`,
  )
}

/** `mkdtemp` makes it for this user alone (0700). */
async function makeSocketDirectory(): Promise<string> {
  for (const parent of [tmpdir(), '/tmp']) {
    if (Buffer.byteLength(join(parent, 'edgesmith-XXXXXX', 'redis.sock')) <= maxSocketPath) {
      return mkdtemp(join(parent, 'edgesmith-'))
    }
  }
  throw new Error(`The path of the temporary directory ${tmpdir()} is too long for a unix socket.`)
}
