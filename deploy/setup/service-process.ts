import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { repositoryDirectory } from './paths.ts'

export type ServiceProcessOptions = {
  /** Directory of the service in `services/`. */
  readonly service: 'artifact' | 'builder' | 'gateway' | 'standalone' | 'validation'
  /** Its configuration. */
  readonly env: Readonly<Record<string, string>>
  /** Gets all that it writes; begun anew. */
  readonly logFile: string
  /** Name in the log lines of the app whose address is waited for. */
  readonly awaited: string
}

/** A service in a process of its own, which listens. Disposing asks it to stop and waits. */
export type ServiceProcess = AsyncDisposable & {
  readonly url: string
  /** Where other services reach it, where they do. */
  readonly internalUrl: string | undefined
  readonly pid: number
  /** Rejects when the process ends by itself. */
  readonly lost: Promise<never>
}

type ProcessSettings = {
  readonly flags: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** Settings of the process itself that keep its memory small, as the service's image has them (its Dockerfile). */
const processSettings: Partial<Record<ServiceProcessOptions['service'], ProcessSettings>> = {
  artifact: {
    flags: ['--optimize-for-size', '--max-semi-space-size=1'],
    env: { MALLOC_ARENA_MAX: '1' },
  },
  builder: { flags: ['--max-semi-space-size=4'], env: { MALLOC_ARENA_MAX: '1' } },
  gateway: { flags: [], env: { MALLOC_ARENA_MAX: '1' } },
}

const startDeadlineMs = 120_000
const stopDeadlineMs = 60_000

/** The address that the app which is waited for says, in its log, that it listens on, for services or everybody. */
export function listeningAddress(log: string, awaited: string, forServices: boolean): string | undefined {
  const sentence = forServices ? /^Listening for services on (\S+)$/ : /^Listening on (\S+)$/
  for (const line of log.split('\n').slice(0, -1)) {
    if (!line.startsWith('{')) continue
    const { name, msg } = JSON.parse(line) as { name?: string; msg?: string }
    const address = name === awaited ? sentence.exec(msg ?? '')?.[1] : undefined
    if (address !== undefined) return address
  }
  return undefined
}

/**
 * Starts a service and waits until it listens. When this process dies the kernel asks the service to
 * stop; it writes its log itself, so that it can do so in order.
 * @throws Error with the end of its log when it ends instead, or does not listen in time.
 */
export async function startServiceProcess(options: ServiceProcessOptions): Promise<ServiceProcess> {
  const { service, env, logFile, awaited } = options
  await mkdir(dirname(logFile), { recursive: true })
  const main = join(repositoryDirectory, 'services', service, 'src/main.ts')
  await using log = await open(logFile, 'w')
  const settings = processSettings[service]
  const command = [process.execPath, ...(settings?.flags ?? []), main]
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...command], {
    env: { ...process.env, LOG_LEVEL: 'info', ...settings?.env, ...env },
    stdio: ['ignore', log.fd, log.fd],
    // Out of the terminal's reach: an interrupt stops this process, and that stops the services in order.
    detached: true,
  })
  const { pid } = child
  if (pid === undefined) throw new Error('setpriv cannot be run.', { cause: (await once(child, 'error'))[0] })
  const state = { isStopping: false, hasEnded: false }
  const ended = once(child, 'close').finally(() => (state.hasEnded = true))
  const lost = ended.then(async (): Promise<never> => {
    if (state.isStopping) throw new Error(`The ${service} service was stopped.`)
    const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-30)
    throw new Error(
      `The ${service} service ended unexpectedly. The end of its log, ${logFile}:\n${lines.join('\n')}`,
    )
  })
  lost.catch(() => undefined)
  const stop = async () => {
    state.isStopping = true
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs)
    await ended
    clearTimeout(timer)
  }
  const waitForAddresses = async (): Promise<Pick<ServiceProcess, 'url' | 'internalUrl'>> => {
    const deadline = performance.now() + startDeadlineMs
    while (performance.now() < deadline && !state.hasEnded) {
      const written = await readFile(logFile, 'utf8')
      const url = listeningAddress(written, awaited, false)
      // What is for services is listened on before.
      if (url !== undefined) return { url, internalUrl: listeningAddress(written, awaited, true) }
      await delay(50)
    }
    if (state.hasEnded) return lost
    throw new Error(
      `The ${service} service does not listen after ${startDeadlineMs / 1000} s; see ${logFile}`,
    )
  }
  try {
    return { ...(await waitForAddresses()), pid, lost, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}
