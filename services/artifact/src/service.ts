import { openStore } from '@edgesmith/store/open-store'
import { listen, type RunningService, createLogger } from '@edgesmith/service/lifecycle'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { RangeCache } from '@edgesmith/store/range-cache'
import { createArtifactApp } from './app.ts'
import type { ArtifactConfig } from './config.ts'

/** Starts the artifact service; `overrides` swap parts for ones that the caller opened and closes. */
export async function startArtifact(
  config: ArtifactConfig,
  overrides: { store?: ObjectStore } = {},
): Promise<RunningService> {
  const store = overrides.store ?? (await openStore(config.objectStore))
  const logger = createLogger('artifact', config.logLevel)
  const images =
    config.cache === undefined
      ? store
      : await RangeCache.open(store, {
          ...config.cache,
          onUnusable: (err) => {
            logger.warn({ err }, 'Bytes of an image cannot be kept in ARTIFACT_CACHE_DIRECTORY.')
          },
        })
  let ownUrl = ''
  const app = await createArtifactApp(
    { config, store, images, publicUrl: () => config.publicUrl ?? ownUrl },
    logger,
  )
  ownUrl = await listen(app, config)
  return { url: ownUrl, [Symbol.asyncDispose]: () => app.close() }
}
