import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Docker from 'dockerode'
import { SettlingModem } from './docker-modem.ts'
import { EngineError } from './engine-error.ts'

export type DockerConfig = {
  /** Where Docker answers: `unix:///path`, `tcp://host:port`, `http://` or `https://host:port`. */
  readonly host: string
  /** Directory with `ca.pem`, `cert.pem` and `key.pem`; with it `tcp://` is spoken over TLS. */
  readonly certificateDirectory?: string | undefined
}

/**
 * Opens Docker, or anything that speaks its API. Nothing is sent yet.
 * @throws TypeError when the host is not an address of one of the forms above
 * @throws Error when a certificate cannot be read
 */
export function openDocker({ host, certificateDirectory }: DockerConfig): Docker {
  const url = URL.parse(host)
  if (url?.protocol === 'unix:' && url.hostname === '' && url.pathname !== '') {
    return withModem({ socketPath: decodeURIComponent(url.pathname) })
  }
  if (url === null || !['tcp:', 'http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new TypeError(
      `${JSON.stringify(host)} is not the address of a Docker: unix:///path or tcp://host:port expected.`,
    )
  }
  const secure = url.protocol === 'https:' || (url.protocol === 'tcp:' && certificateDirectory !== undefined)
  return withModem({
    protocol: secure ? 'https' : 'http',
    host: url.hostname,
    port: url.port === '' ? (secure ? 2376 : 2375) : Number(url.port),
    ...(certificateDirectory === undefined
      ? {}
      : {
          ca: readFileSync(join(certificateDirectory, 'ca.pem')),
          cert: readFileSync(join(certificateDirectory, 'cert.pem')),
          key: readFileSync(join(certificateDirectory, 'key.pem')),
        }),
  })
}

function withModem(options: Docker.DockerOptions): Docker {
  const docker = new Docker(options)
  docker.modem = new SettlingModem(options)
  return docker
}

/** HTTP status of an error that Docker answered; undefined for any other error. */
export function dockerStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  return typeof error.statusCode === 'number' ? error.statusCode : undefined
}

/** Waits for an operation; an answer with one of the statuses makes it undefined. */
export async function unlessStatus<T>(
  statuses: readonly number[],
  operation: Promise<T>,
): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    const status = dockerStatus(error)
    if (status === undefined || !statuses.includes(status)) throw error
    return undefined
  }
}

/**
 * Does something by way of Docker.
 * @throws EngineError `client-lost` when Docker is out of reach, or fails itself (status 5xx)
 */
export async function viaDocker<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    const status = dockerStatus(error)
    if (error instanceof EngineError || (status !== undefined && status < 500)) throw error
    throw new EngineError(
      'client-lost',
      `Docker failed: ${error instanceof Error ? error.message.trim() : String(error)}`,
      { cause: error },
    )
  }
}

/** How often Docker is asked whether it is back, in milliseconds. */
const pingIntervalMs = 500

/**
 * Waits until Docker answers.
 * @throws EngineError `docker-unavailable` when it does not in time, or the reason of the signal
 */
export async function awaitDocker(docker: Docker, timeoutMs: number, signal: AbortSignal): Promise<void> {
  for (const end = performance.now() + timeoutMs; ;) {
    try {
      await docker.ping()
      return
    } catch (error) {
      signal.throwIfAborted()
      if (performance.now() > end)
        throw new EngineError('docker-unavailable', 'Docker does not answer.', { cause: error })
    }
    await delay(pingIntervalMs)
  }
}
