import { openStore } from '@edgesmith/store/open-store'
import { listen, type RunningService, createLogger } from '@edgesmith/service/lifecycle'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { createArtifactApp } from './app.ts'
import type { ArtifactConfig } from './config.ts'

/** Starts the artifact service; `overrides` swap parts for ones that the caller opened and closes. */
export async function startArtifact(
  config: ArtifactConfig,
  overrides: { store?: ObjectStore } = {},
): Promise<RunningService> {
  const store = overrides.store ?? (await openStore(config.objectStore))
  let ownUrl = ''
  const app = await createArtifactApp(
    { config, store, publicUrl: () => config.publicUrl ?? ownUrl },
    createLogger('artifact', config.logLevel),
  )
  ownUrl = await listen(app, config)
  return { url: ownUrl, [Symbol.asyncDispose]: () => app.close() }
}
