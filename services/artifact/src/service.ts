import { openStore } from '@edgesmith/store/open-store'
import { closeTogether } from '@edgesmith/service/grace-period'
import { createLogger, listen, listenForServices, type CalledService } from '@edgesmith/service/lifecycle'
import { ServiceCertificate } from '@edgesmith/service/service-certificate'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { KeptRanges } from '@edgesmith/store/kept-ranges'
import { RangeCache } from '@edgesmith/store/range-cache'
import { createArtifactApp, createDownloadApp } from './app.ts'
import type { ArtifactConfig } from './config.ts'
import { openSigner } from './provenance-signer.ts'

/** Ranges of bases' directories, of 64 KiB at the most, that are kept in memory: all ISOs of a base have them. */
const maximumDirectories = 128

/** The artifact service, at the address that the gateway calls and at that of signed URLs. */
export type RunningArtifact = CalledService & {
  /** Closes the address of signed URLs; the gateway is served until the service is disposed of. */
  closeDownloads(): Promise<void>
}

/**
 * Starts the artifact service; `overrides` swap parts for ones that the caller opened and closes. Once `stopping` is
 * aborted the start waits for nothing.
 */
export async function startArtifact(
  config: ArtifactConfig,
  overrides: { store?: ObjectStore; stopping?: AbortSignal } = {},
): Promise<RunningArtifact> {
  await using resources = new AsyncDisposableStack()
  const logger = createLogger('artifact', config.logLevel)
  const certificate = resources.use(
    await ServiceCertificate.open({ directory: config.serviceTlsDirectory, service: 'artifact', logger }),
  )
  const signer = config.provenance === undefined ? undefined : await openSigner(config.provenance)
  const store = overrides.store ?? (await openStore(config.objectStore, overrides.stopping))
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
  const publicUrl = () => config.publicUrl ?? ownUrl
  const context = { config, stores: new ProjectStores(store), images, signer, publicUrl }
  const downloads = createDownloadApp(context, logger)
  const app = await createArtifactApp(context, logger, { certificate, callers: ['gateway'] })
  resources.defer(() => closeTogether([downloads.close(), app.close()]))
  const internalUrl = await listenForServices(app, config.internal)
  ownUrl = await listen(downloads, config)
  const opened = resources.move()
  return {
    ...{ url: ownUrl, internalUrl },
    closeDownloads: () => downloads.close(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
