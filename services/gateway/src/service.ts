import { BuildEvents } from '@edgesmith/builds/build-events'
import { BuildQueue } from '@edgesmith/builds/build-queue'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { FleetQueue } from '@edgesmith/builds/fleet-queue'
import { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { Notifications } from '@edgesmith/builds/notifications'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { warnOfVolatileRedis } from '@edgesmith/builds/redis-durability'
import { Wholeness } from '@edgesmith/builds/wholeness'
import { openIdentity } from '@edgesmith/identity/identity'
import { openKeyring } from '@edgesmith/secrets/keys'
import { tenantShares } from '@edgesmith/identity/tenant-share'
import { listProjects } from '@edgesmith/identity/tenants'
import { keepWorkingCopy } from '@edgesmith/retention/working-copy'
import { Outgoing } from '@edgesmith/outgoing/outgoing'
import { createLogger, listen, type RunningService } from '@edgesmith/service/lifecycle'
import { ServiceCertificate } from '@edgesmith/service/service-certificate'
import type { ServiceName } from '@edgesmith/service/service-name'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { openStore } from '@edgesmith/store/open-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { createGatewayApp } from './app.ts'
import type { GatewayConfig } from './config.ts'
import { DownloadUrlClient } from './fleet-download-urls.ts'
import { openCounters } from './rate-limits.ts'
import { keepRemovingExpired } from './resumable/expiry.ts'
import { serviceAgent } from './service-agent.ts'
import { ValidationClient } from './validation-client.ts'

/**
 * Starts the gateway; `overrides` swap parts for ones that the caller opened and closes. Once `stopping` is aborted
 * the start waits for nothing.
 */
export async function startGateway(
  config: GatewayConfig,
  overrides: { store?: ObjectStore; stopping?: AbortSignal } = {},
): Promise<RunningService> {
  const logger = createLogger('gateway', config.logLevel)
  const onError = (error: Error) => {
    logger.error({ err: error }, 'Redis connection failed.')
  }
  await using resources = new AsyncDisposableStack()
  const certificate = resources.use(
    await ServiceCertificate.open({ directory: config.serviceTlsDirectory, service: 'gateway', logger }),
  )
  const stores = new ProjectStores(
    overrides.store ?? (await openStore(config.objectStore, overrides.stopping)),
  )
  const redis = resources.adopt(
    openRedis(config.redisUrl, { patience: 'brief', name: 'gateway', onError }),
    closeRedis,
  )
  const counters = resources.adopt(openCounters(config.redisUrl, onError), closeRedis)
  warnOfVolatileRedis(redis, logger).catch(onError)
  const { fetch } = resources.use(new Outgoing({ allowances: config.allowances }))
  const identity = await openIdentity(
    { store: stores.whole, redis, settings: config.identity, fetch },
    config.host,
  )
  const workingCopy = resources.use(
    keepWorkingCopy({ redis, stores, logger, listProjects: () => listProjects(stores.whole) }),
  )
  await workingCopy.looked
  const wholeness = new Wholeness(() => workingCopy.isWhole())
  const notifications = resources.use(new Notifications(redis, onError))
  const queue = resources.use(new BuildQueue(redis, onError, tenantShares(identity.tenants)))
  const fleetQueue = resources.use(new FleetQueue(redis, 'fleets', onError))
  const checksumQueue = resources.use(new FleetQueue(redis, 'fleet-checksums', onError))
  const agentTo = (service: ServiceName) =>
    resources.adopt(serviceAgent(certificate, service), (agent) => agent.destroy())
  const artifactAgent = agentTo('artifact')
  resources.use(
    keepRemovingExpired(
      {
        stores,
        redis,
        limits: config.uploadLimits,
        ttlMs: config.resumableUploadTtlMs,
      },
      (error) => {
        logger.error({ err: error }, 'Expired uploads could not be removed.')
      },
    ),
  )
  const app = await createGatewayApp(
    {
      config,
      identity,
      stores,
      redis,
      counters,
      wholeness,
      repository: new BuildRepository(redis, wholeness),
      events: new BuildEvents({ redis, notifications, stores, wholeness }),
      queue,
      validation: new ValidationClient(config.validationUrl, agentTo('validation')),
      fleets: new FleetRepository(redis, wholeness),
      fleetQueue,
      checksumQueue,
      artifactAgent,
      downloadUrls: new DownloadUrlClient(config.artifactUrl, artifactAgent),
      keyring: await openKeyring(config.secrets),
    },
    logger,
  )
  resources.adopt(app, (opened) => opened.close())
  const url = await listen(app, config)
  const opened = resources.move()
  return { url, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
