import { openStore } from '@edgesmith/store/open-store'
import { listen, type RunningService, createLogger } from '@edgesmith/service/lifecycle'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { KeptRanges } from '@edgesmith/store/kept-ranges'
import { RangeCache } from '@edgesmith/store/range-cache'
import { createArtifactApp } from './app.ts'
import type { ArtifactConfig } from './config.ts'
import { openSigner } from './provenance-signer.ts'

/** Ranges of bases' directories, of 64 KiB at the most, that are kept in memory: all ISOs of a base have them. */
const maximumDirectories = 128

/** Starts the artifact service; `overrides` swap parts for ones that the caller opened and closes. */
export async function startArtifact(
  config: ArtifactConfig,
  overrides: { store?: ObjectStore } = {},
): Promise<RunningService> {
  const signer = config.provenance === undefined ? undefined : await openSigner(config.provenance)
  const store = overrides.store ?? (await openStore(config.objectStore))
  const logger = createLogger('artifact', config.logLevel)
  const source =
    config.cache === undefined
      ? store
      : await RangeCache.open(store, {
          ...config.cache,
          onUnusable: (err) => {
            logger.warn({ err }, 'Bytes of an image cannot be kept in ARTIFACT_CACHE_DIRECTORY.')
          },
        })
  const images = new KeptRanges(source, { maximum: maximumDirectories })
  let ownUrl = ''
  const app = await createArtifactApp(
    { config, stores: new ProjectStores(store), images, signer, publicUrl: () => config.publicUrl ?? ownUrl },
    logger,
  )
  ownUrl = await listen(app, config)
  return { url: ownUrl, [Symbol.asyncDispose]: () => app.close() }
}
