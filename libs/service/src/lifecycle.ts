import { once } from 'node:events'
import type { ActiveRedactors } from '@edgesmith/redaction/active-redactors'
import { withoutCredentials } from '@edgesmith/redaction/credential-patterns'
import type { FastifyRequest } from 'fastify'
import { pino, type DestinationStream, type Logger } from 'pino'
import type { App } from './app.ts'
import { ConfigurationError } from './environment.ts'
import { defaultGraceSeconds } from './grace-period.ts'

/** A service that runs until it is disposed of. */
export type RunningService = AsyncDisposable & { readonly url: string }

/** A service that others call, at an address that they alone reach. */
export type CalledService = RunningService & { readonly internalUrl: string }

/**
 * Makes the logger of a service: JSON lines on standard output. Whatever wrote it into a line, nothing that looks
 * like a credential is left of it, and no secret that `redactors` know at that moment.
 */
export function createLogger(
  name: string,
  level: string,
  { destination = pino.destination(1), redactors }: LoggerOptions = {},
): Logger {
  const redacting = {
    write: (line: string) => {
      destination.write(withoutCredentials(redactors?.redact(line) ?? line))
    },
  }
  return pino({ name, level, serializers: { req: describeRequest } }, redacting)
}

export type LoggerOptions = {
  readonly destination?: DestinationStream
  readonly redactors?: ActiveRedactors
}

function describeRequest({ method, url, ip }: FastifyRequest): Record<string, string> {
  return { method, url, remoteAddress: ip }
}

/** Where an app listens. */
export type Address = { readonly host: string; readonly port: number }

/** Listens on an address; answers the URL under which the app is reached. */
export async function listen(app: App, { host, port }: Address): Promise<string> {
  return await app.listen({ host, port, listenTextResolver: (address) => `Listening on ${address}` })
}

/** Listens for other services; answers the URL under which they reach the app. */
export async function listenForServices(app: App, { host, port }: Address): Promise<string> {
  return await app.listen({
    host,
    port,
    listenTextResolver: (address) => `Listening for services on ${address}`,
  })
}

/** How long what was begun for requests that were cut off may take to put things in order, in milliseconds. */
const afterwardsMs = 1000

/**
 * Runs a service until SIGINT or SIGTERM, then closes it within its grace period. A start that is not over by then
 * is told by its signal that it need not be; what it throws then is of no interest.
 * Exit codes: 0 after a clean stop, 78 when the configuration has faults (`EX_CONFIG`), 1 otherwise.
 */
export async function runUntilSignal<Config extends { readonly graceSeconds?: number }>(
  readConfig: () => Config | Promise<Config>,
  start: (config: Config, stopping: AbortSignal) => Promise<RunningService>,
): Promise<void> {
  const controller = new AbortController()
  const { signal } = controller
  const stop = () => {
    controller.abort(new Error('The service was told to stop.'))
  }
  // A supervisor may say SIGTERM more than once; a second Ctrl-C ends the process at once.
  process.on('SIGTERM', stop)
  process.once('SIGINT', stop)
  // Node asks the C library for each variable, and the YAML parser asks for one at every token.
  process.env = { ...process.env }
  try {
    const config = await readConfig()
    const stopped = stopOf(signal, config.graceSeconds ?? defaultGraceSeconds)
    await using _service = await start(config, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
      return undefined
    })
    await stopped
  } catch (error) {
    process.stderr.write(
      error instanceof ConfigurationError
        ? `${error.message}\n`
        : `${withoutCredentials(String(error instanceof Error ? error.stack : error))}\n`,
    )
    process.exitCode = error instanceof ConfigurationError ? 78 : 1
  }
  setTimeout(() => process.exit(), afterwardsMs).unref()
}

/** Settles when the service is told to stop; from then on the process has its grace period, and no more. */
async function stopOf(signal: AbortSignal, graceSeconds: number): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
  setTimeout(() => {
    process.stderr.write(`The service did not stop within ${graceSeconds} seconds.\n`)
    process.exit(1)
  }, graceSeconds * 1000).unref()
}
