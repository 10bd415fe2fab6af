import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'

/** How long the server may take to be ready, and to stop, in milliseconds. */
const startTimeout = 60_000
const stopTimeout = 20_000

export type MinioServer = AsyncDisposable & {
  /** `http://127.0.0.1:<port>` */
  endpoint: string
  accessKey: string
  secretKey: string
  pid: number
  /** Kills the process at once. */
  kill(): void
  /** Holds the process still; once this resolves it does nothing until `thaw`. */
  freeze(): Promise<void>
  thaw(): void
}

export type MinioOptions = {
  /** Directory of the server's own; its objects are there again at the next start. */
  dataDir: string
  /** TCP port on the loopback interface, by default a free one. */
  port?: number
  /** Credentials, by default new random ones. */
  accessKey?: string
  secretKey?: string
}

/**
 * Starts a MinIO server on the loopback interface and waits until it is ready. Builds the server
 * first when the machine has none, see `install.sh`. Disposing stops it; what it stored stays.
 */
export async function startMinio(options: MinioOptions): Promise<MinioServer> {
  const { dataDir, port = 0, accessKey = randomSecret(), secretKey = randomSecret() } = options
  const binary = await installMinio()
  const objects = join(dataDir, 'objects')
  await mkdir(objects, { recursive: true })
  // Whatever becomes of this process, the kernel ends the server with it.
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', '--', binary],
      ...['server', '--certs-dir', join(dataDir, 'certs'), '--address', `127.0.0.1:${port}`, objects],
    ],
    {
      env: {
        ...process.env,
        MINIO_ROOT_USER: accessKey,
        MINIO_ROOT_PASSWORD: secretKey,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Out of reach of a terminal's Ctrl-C: it ends after the services that use it.
      detached: true,
    },
  )
  const stop = () => stopProcess(child)
  try {
    const endpoint = await waitUntilReady(child)
    const { pid } = child
    if (pid === undefined) throw new Error('MinIO has no process id.')
    return {
      ...{ endpoint, accessKey, secretKey, pid },
      kill: () => child.kill('SIGKILL'),
      freeze: async () => {
        child.kill('SIGSTOP')
        while (!(await isFrozen(child.pid))) await delay(1)
      },
      thaw: () => child.kill('SIGCONT'),
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Builds MinIO where missing and returns the path of its binary. */
async function installMinio(): Promise<string> {
  const script = join(import.meta.dirname, 'install.sh')
  const child = spawn(script, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [printed] = await Promise.all([text(child.stdout), once(child, 'close')])
  const binary = printed.trim().split('\n').at(-1)
  if (child.exitCode !== 0 || binary === undefined) throw new Error(`${script} failed, see its output.`)
  return binary
}

async function waitUntilReady(child: ChildProcess): Promise<string> {
  const output: string[] = []
  const { promise: endpoint, resolve, reject } = Promise.withResolvers<string>()
  child.once('error', reject)
  child.once('exit', (code, signal) => {
    reject(new Error(`MinIO ended with ${String(code ?? signal)} instead of starting:\n${output.join('\n')}`))
  })
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) throw new Error('MinIO was started without output.')
    // The address is printed so that the port, where it was left to the server, can be known.
    createInterface(stream).on('line', (line) => {
      if (output.push(line) > 50) output.shift()
      const url = /^API: (http:\/\/127\.0\.0\.1:\d+)\b/.exec(line)?.[1]
      if (url !== undefined) resolve(url)
    })
  }
  const deadline = AbortSignal.timeout(startTimeout)
  deadline.addEventListener('abort', () => {
    reject(new Error(`MinIO was not ready within ${startTimeout} ms:\n${output.join('\n')}`))
  })
  const url = await endpoint
  while (!(await isHealthy(url, deadline))) await delay(50, undefined, { signal: deadline })
  return url
}

/** MinIO documentation, "Healthcheck API": 200 once the server can serve reads and writes. */
async function isHealthy(endpoint: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(`${endpoint}/minio/health/cluster`, { signal })
  await response.body?.cancel()
  return response.ok
}

/** Whether all threads of a process are stopped (proc(5), "stat"): a signal takes a moment to arrive. */
async function isFrozen(pid: number | undefined): Promise<boolean> {
  const tasks = `/proc/${pid ?? 0}/task`
  const stats = await Promise.all(
    (await readdir(tasks)).map((thread) => readFile(join(tasks, thread, 'stat'), 'latin1').catch(() => '')),
  )
  return stats.every((stat) => stat === '' || /\) T /.test(stat))
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), stopTimeout)
  await exited
  clearTimeout(force)
}

function randomSecret(): string {
  return randomBytes(16).toString('hex')
}
