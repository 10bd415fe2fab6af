import type { FastifyRequest } from 'fastify'
import { pino, type DestinationStream, type Logger } from 'pino'
import type { App } from './app.ts'
import { ConfigurationError } from './environment.ts'

/** A service that runs until it is disposed of. */
export type RunningService = AsyncDisposable & { readonly url: string }

/** Makes the logger of a service: JSON lines on standard output; signatures of URLs are left out. */
export function createLogger(name: string, level: string, destination?: DestinationStream): Logger {
  return pino({ name, level, serializers: { req: describeRequest } }, destination ?? pino.destination(1))
}

function describeRequest({ method, url, ip }: FastifyRequest): Record<string, string> {
  return { method, url: url.replace(/([?&]signature=)[^&]*/, '$1…'), remoteAddress: ip }
}

/** Listens on an address; answers the URL under which the app is reached. */
export async function listen(app: App, { host, port }: { host: string; port: number }): Promise<string> {
  return await app.listen({ host, port, listenTextResolver: (address) => `Listening on ${address}` })
}

/**
 * Runs a service until SIGINT or SIGTERM, then closes it within the grace period.
 * Exit codes: 0 after a clean stop, 78 when the configuration has faults (`EX_CONFIG`), 1 otherwise.
 */
export async function runUntilSignal(
  start: () => Promise<RunningService>,
  { graceMs = 30_000 }: { graceMs?: number } = {},
): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    // A supervisor may say SIGTERM more than once; a second Ctrl-C ends the process at once.
    process.on('SIGTERM', () => {
      resolve()
    })
    process.once('SIGINT', () => {
      resolve()
    })
  })
  // Node asks the C library for each variable, and the YAML parser asks for one at every token.
  process.env = { ...process.env }
  try {
    await using _service = await start()
    await stopped
    setTimeout(() => {
      process.stderr.write(`The service did not stop within ${graceMs} ms.\n`)
      process.exit(1)
    }, graceMs).unref()
  } catch (error) {
    process.stderr.write(
      error instanceof ConfigurationError
        ? `${error.message}\n`
        : `${String(error instanceof Error ? error.stack : error)}\n`,
    )
    process.exitCode = error instanceof ConfigurationError ? 78 : 1
  }
}
