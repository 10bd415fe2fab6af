import { join } from 'node:path'
import { startArtifact } from '@edgesmith/artifact-service/service'
import { startBuilder } from '@edgesmith/builder-service/service'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import { startGateway } from '@edgesmith/gateway-service/service'
import { closeTogether } from '@edgesmith/service/grace-period'
import { createLogger, type RunningService } from '@edgesmith/service/lifecycle'
import { openStore } from '@edgesmith/store/open-store'
import { startValidation } from '@edgesmith/validation-service/service'
import type { StandaloneConfig } from './config.ts'

/** The four services in one process; `url` is the gateway's. */
export type RunningStandalone = RunningService & {
  readonly urls: Readonly<Record<'gateway' | 'validation' | 'builder' | 'artifact', string>>
}

/** Ends this process in order, with a failing exit code: without Redis no service can work. */
function stopProcess(): void {
  process.exitCode = 1
  process.kill(process.pid, 'SIGTERM')
}

export type StandaloneOptions = {
  /** Called when the redis-server of the service's own ends by itself. */
  readonly onRedisLost?: (error: Error) => void
  /** Once it is aborted the start waits for nothing. */
  readonly stopping?: AbortSignal
}

/**
 * Starts the four services in this process on one object store and, unless another is configured, on
 * a redis-server that ends with it. Each service starts once those it calls have their address.
 */
export async function startStandalone(
  config: StandaloneConfig,
  { onRedisLost = stopProcess, stopping }: StandaloneOptions = {},
): Promise<RunningStandalone> {
  await using resources = new AsyncDisposableStack()
  const logger = createLogger('standalone', config.gateway.logLevel)
  const redisUrl = config.ownRedis
    ? resources.use(
        await startRedisServer({
          dataDirectory: join(config.dataDirectory, 'redis'),
          onUnexpectedExit: (error) => {
            logger.fatal({ err: error }, 'The redis-server ended unexpectedly.')
            onRedisLost(error)
          },
        }),
      ).url
    : config.gateway.redisUrl
  const store = await openStore(config.gateway.objectStore, stopping)
  const shared = { store, ...(stopping === undefined ? {} : { stopping }) }

  const artifact = resources.use(await startArtifact(config.artifact, shared))
  const validation = resources.use(await startValidation(config.validation, shared))
  const builder = resources.use(await startBuilder({ ...config.builder, redisUrl }, shared))
  const gateway = resources.use(
    await startGateway(
      {
        ...{ ...config.gateway, redisUrl },
        ...{ validationUrl: validation.internalUrl, artifactUrl: artifact.internalUrl },
      },
      shared,
    ),
  )
  logger.info(`The API is at ${gateway.url}, its documentation at ${gateway.url}/docs.`)

  const opened = resources.move()
  return {
    url: gateway.url,
    urls: { gateway: gateway.url, validation: validation.url, builder: builder.url, artifact: artifact.url },
    async [Symbol.asyncDispose]() {
      await using _others = opened
      // The grace period is the same for all that clients and builds wait for. The gateway needs the others until then.
      await closeTogether([
        gateway[Symbol.asyncDispose](),
        builder[Symbol.asyncDispose](),
        artifact.closeDownloads(),
      ])
    },
  }
}
