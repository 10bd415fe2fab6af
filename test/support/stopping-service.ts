import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { repositoryDirectory } from '../../deploy/setup/paths.ts'
import { listeningAddress } from '../../deploy/setup/service-process.ts'

/** How a service ended: with which exit code, and how long after it was told to, in milliseconds. */
export type ServiceEnd = { readonly exitCode: number | null; readonly tookMs: number }

/** The shortest grace period that there is, in seconds. */
export const shortGraceSeconds = 10

/** A service as it is started for real, which a test tells to stop. */
export class StoppingService implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<ServiceEnd>
  readonly #log: string[] = []
  readonly #listening = Promise.withResolvers<string>()
  readonly #listeningForServices = Promise.withResolvers<string>()
  #toldAt = 0

  /** @param name what the log calls the app whose addresses are told */
  constructor(service: string, env: NodeJS.ProcessEnv, name = service) {
    const main = join(repositoryDirectory, 'services', service, 'src/main.ts')
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, main], {
      env: { ...process.env, LOG_LEVEL: 'info', GRACE_SECONDS: String(shortGraceSeconds), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue
      createInterface(stream).on('line', (line) => {
        this.#log.push(line)
        const told = (forServices: boolean) => listeningAddress(`${line}\n`, name, forServices)
        const [url, internalUrl] = [told(false), told(true)]
        if (url !== undefined) this.#listening.resolve(url)
        if (internalUrl !== undefined) this.#listeningForServices.resolve(internalUrl)
      })
    }
    this.#ended = once(this.#child, 'close').then(([exitCode]: (number | null)[]) => ({
      exitCode: exitCode ?? null,
      tookMs: performance.now() - this.#toldAt,
    }))
  }

  /** Where it listens, once it does. @throws Error when it ends instead */
  get url(): Promise<string> {
    return this.#unlessEnded(this.#listening.promise)
  }

  /** Where it listens for services, once it does. */
  get internalUrl(): Promise<string> {
    return this.#unlessEnded(this.#listeningForServices.promise)
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('setpriv cannot be run.')
    return this.#child.pid
  }

  /** All that it wrote so far. */
  get log(): string {
    return this.#log.join('\n')
  }

  /** Tells it to stop, and waits until it has. */
  async stop(): Promise<ServiceEnd> {
    this.tellToStop()
    return this.#ended
  }

  tellToStop(): void {
    this.#toldAt = performance.now()
    this.#child.kill('SIGTERM')
  }

  /** Settles when it has ended, by itself or because it was told to. */
  get ended(): Promise<ServiceEnd> {
    return this.#ended
  }

  /** Ids of the processes that it started, and those started. */
  async descendants(): Promise<number[]> {
    const found: number[] = []
    const look = async (pid: number): Promise<void> => {
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
      for (const child of children
        .split(' ')
        .filter((id) => id !== '')
        .map(Number)) {
        found.push(child)
        await look(child)
      }
    }
    await look(this.pid)
    return found
  }

  async #unlessEnded(told: Promise<string>): Promise<string> {
    return Promise.race([
      told,
      this.#ended.then(({ exitCode }) => {
        throw new Error(`The service ended with ${String(exitCode)} instead of listening:\n${this.log}`)
      }),
    ])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}

/** Whether connections to a URL's port are refused. */
export async function isRefused(url: string): Promise<boolean> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  try {
    await once(socket, 'connect')
    return false
  } catch (error) {
    // ECONNRESET: it waited to be accepted when the service closed the port.
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  } finally {
    socket.destroy()
  }
}

/** Settles once connections to a URL's port are refused. */
export async function untilRefused(url: string): Promise<void> {
  while (!(await isRefused(url))) await new Promise(setImmediate)
}

/** Whether a process is there, other than as one that has ended and was not waited for. */
export async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  return status !== undefined && !/\) [XZ] /.test(status)
}
