import { readFile } from 'node:fs/promises'
import { parseArgFile } from '@edgesmith/canvos/arg-file'
import { openMirror } from '@edgesmith/canvos/mirror'
import { ConfigurationError } from '@edgesmith/service/environment'
import { createLogger, listen, type RunningService } from '@edgesmith/service/lifecycle'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { openStore } from '@edgesmith/store/open-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { createValidationApp } from './app.ts'
import type { ValidationConfig } from './config.ts'

/**
 * Starts the validation service; `overrides` swap parts for ones that the caller opened.
 * @throws ConfigurationError when the default `.arg` file cannot be read.
 */
export async function startValidation(
  config: ValidationConfig,
  overrides: { store?: ObjectStore } = {},
): Promise<RunningService> {
  const logger = createLogger('validation', config.logLevel)
  const defaultArgFile = await readDefaultArgFile(config.defaultArgFile)
  const stopping = new AbortController()
  const canvos = openMirror({
    repository: config.canvos.repository,
    directory: config.canvos.mirrorDirectory,
    signal: stopping.signal,
  })
  const stores = new ProjectStores(overrides.store ?? (await openStore(config.objectStore)))
  const app = createValidationApp({ config, stores, canvos, defaultArgFile }, logger)
  const url = await listen(app, config)
  return {
    url,
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await app.close()
    },
  }
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
