import { join } from 'node:path'
import { startArtifact } from '@edgesmith/artifact-service/service'
import { startBuilder } from '@edgesmith/builder-service/service'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import { startGateway } from '@edgesmith/gateway-service/service'
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

/**
 * Starts the four services in this process on one object store and, unless another is configured, on
 * a redis-server that ends with it. Each service starts once those it calls have their address.
 * @param onRedisLost called when that redis-server ends by itself.
 */
export async function startStandalone(
  config: StandaloneConfig,
  { onRedisLost = stopProcess }: { onRedisLost?: (error: Error) => void } = {},
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
  const store = await openStore(config.gateway.objectStore)

  const artifact = resources.use(await startArtifact(config.artifact, { store }))
  const validation = resources.use(await startValidation(config.validation, { store }))
  const builder = resources.use(await startBuilder({ ...config.builder, redisUrl }, { store }))
  const gateway = resources.use(
    await startGateway(
      {
        ...{ ...config.gateway, redisUrl },
        ...{ validationUrl: validation.internalUrl, artifactUrl: artifact.internalUrl },
      },
      { store },
    ),
  )
  logger.info(`The API is at ${gateway.url}, its documentation at ${gateway.url}/docs.`)

  const opened = resources.move()
  return {
    url: gateway.url,
    urls: { gateway: gateway.url, validation: validation.url, builder: builder.url, artifact: artifact.url },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
