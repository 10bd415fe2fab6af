import { readFile } from 'node:fs/promises'
import { parseArgFile } from '@edgesmith/canvos/arg-file'
import { openMirror } from '@edgesmith/canvos/mirror'
import { ConfigurationError } from '@edgesmith/service/environment'
import { closeTogether } from '@edgesmith/service/grace-period'
import { createLogger, listen, listenForServices, type CalledService } from '@edgesmith/service/lifecycle'
import { ServiceCertificate } from '@edgesmith/service/service-certificate'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { openStore } from '@edgesmith/store/open-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { createHealthApp, createValidationApp } from './app.ts'
import type { ValidationConfig } from './config.ts'

/**
 * Starts the validation service; `overrides` swap parts for ones that the caller opened. Once `stopping` is aborted
 * the start waits for nothing.
 * @throws ConfigurationError when the default `.arg` file or the certificate cannot be used.
 */
export async function startValidation(
  config: ValidationConfig,
  overrides: { store?: ObjectStore; stopping?: AbortSignal } = {},
): Promise<CalledService> {
  const logger = createLogger('validation', config.logLevel)
  const defaultArgFile = await readDefaultArgFile(config.defaultArgFile)
  await using resources = new AsyncDisposableStack()
  const certificate = resources.use(
    await ServiceCertificate.open({ directory: config.serviceTlsDirectory, service: 'validation', logger }),
  )
  const stopping = new AbortController()
  const canvos = openMirror({
    repository: config.canvos.repository,
    directory: config.canvos.mirrorDirectory,
    signal: stopping.signal,
  })
  const stores = new ProjectStores(
    overrides.store ?? (await openStore(config.objectStore, overrides.stopping)),
  )
  const context = { config, stores, canvos, defaultArgFile }
  const app = createValidationApp(context, logger, { certificate, callers: ['gateway'] })
  const health = createHealthApp(context, logger)
  resources.defer(() => closeTogether([health.close(), app.close()]))
  resources.defer(() => {
    stopping.abort()
  })
  const internalUrl = await listenForServices(app, config.internal)
  const url = await listen(health, config)
  const opened = resources.move()
  return { url, internalUrl, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function readDefaultArgFile(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new ConfigurationError([`DEFAULT_ARG_FILE cannot be read: ${(error as Error).message}`])
  })
  const faults = parseArgFile(text).diagnostics.filter((diagnostic) => diagnostic.severity === 'error')
  if (faults.length > 0) {
    throw new ConfigurationError(
      faults.map(({ line, message }) => `DEFAULT_ARG_FILE line ${line ?? 1}: ${message}`),
    )
  }
  return text
}
