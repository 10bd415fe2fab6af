import { createHash } from 'node:crypto'
import { publishEngineProfile } from '@edgesmith/bases/engine-profile'
import { ImageDigests } from '@edgesmith/bases/image-digests'
import { BuildEvents } from '@edgesmith/builds/build-events'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { Notifications } from '@edgesmith/builds/notifications'
import { abandonWhenAway, closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { warnOfVolatileRedis } from '@edgesmith/builds/redis-durability'
import { openMirror } from '@edgesmith/canvos/mirror'
import { bearableBuilds, daemonLimits } from '@edgesmith/engine/daemon-limits'
import { openDocker } from '@edgesmith/engine/docker'
import { ensureImage } from '@edgesmith/engine/image'
import { assertRuntimes, lookAtMachine } from '@edgesmith/engine/machine'
import { reap, reapStale } from '@edgesmith/engine/reaper'
import { ActiveRedactors } from '@edgesmith/redaction/active-redactors'
import { openKeyring } from '@edgesmith/secrets/keys'
import { listProjects } from '@edgesmith/identity/tenants'
import { keepWorkingCopy } from '@edgesmith/retention/working-copy'
import { closeTogether } from '@edgesmith/service/grace-period'
import { createLogger, listen, type RunningService } from '@edgesmith/service/lifecycle'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { openStore } from '@edgesmith/store/open-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { createBuilderApp } from './app.ts'
import { startBuildWorker } from './build-worker.ts'
import { startFleetWorkers } from './fleet-workers.ts'
import { reapCheckouts } from './checkouts.ts'
import { Daemons } from './daemons.ts'
import { keepCompactingAudit } from './audit-job.ts'
import { keepRetaining } from './retention-job.ts'
import type Docker from 'dockerode'
import type { BuilderConfig } from './config.ts'
import type { BuilderContext } from './context.ts'

/**
 * Starts the builder: removes what a dead worker of this name left in Docker, starts the BuildKit
 * daemon, and takes builds from the queue. `overrides` swap parts for ones that the caller opened and
 * closes. Once `stopping` is aborted the start waits for nothing. Disposing of the answer hands unfinished
 * builds on and removes all containers.
 * @throws EngineError when Docker or the daemon cannot be had
 */
export async function startBuilder(
  config: BuilderConfig,
  overrides: { store?: ObjectStore; stopping?: AbortSignal } = {},
): Promise<RunningService> {
  const redactors = new ActiveRedactors()
  const logger = createLogger('builder', config.logLevel, { redactors })
  const keyring = await openKeyring(config.secrets)
  await using stack = new AsyncDisposableStack()
  const stopping = new AbortController()
  const onRedisError = (error: Error) => {
    logger.warn({ err: error }, 'Redis is out of reach.')
  }

  const impatience = new AbortController()
  const store = overrides.store ?? (await openStore(config.objectStore, overrides.stopping))
  const stores = new ProjectStores(store.patient(impatience.signal))
  const redis = stack.adopt(
    openRedis(config.redisUrl, { patience: 'endless', name: 'builder', onError: onRedisError }),
    closeRedis,
  )
  warnOfVolatileRedis(redis, logger).catch(onRedisError)
  overrides.stopping?.throwIfAborted()
  await using starting = new AsyncDisposableStack()
  const giveUp = () => {
    impatience.abort()
    starting.use(abandonWhenAway(redis))
  }
  overrides.stopping?.addEventListener('abort', giveUp, { once: true })
  starting.defer(() => overrides.stopping?.removeEventListener('abort', giveUp))
  const notifications = stack.use(new Notifications(redis, onRedisError))
  const repository = new BuildRepository(redis)
  const events = new BuildEvents({ redis, notifications, stores, maxLogBytes: config.logLimitBytes })
  const { repository: canvosRepository, mirrorDirectory: directory } = config.canvos
  const mirror = openMirror({ repository: canvosRepository, directory, signal: stopping.signal })

  const docker = openDocker(config.docker)
  const machine = await lookAtMachine(docker)
  assertRuntimes(machine, { CLIENT_RUNTIME: config.client.runtime, DAEMON_RUNTIME: config.engine.runtime })
  const limits = daemonLimits(machine, config.engine.limits)
  const daemons = stack.use(new Daemons({ docker, config, limits, logger }))
  const { userDataReserveBytes, imageDigestTtlSeconds } = config
  const { insecureRegistries } = config.network
  const { allowed } = config.network
  const digests = stack.use(
    new ImageDigests({ redis, insecureRegistries, allowed, ttlSeconds: imageDigestTtlSeconds }),
  )
  const engineImages = await findEngineImages(docker, config)
  const maker = { engine: engineIdentity(engineImages), userDataReserveBytes }
  const context: BuilderContext = {
    config,
    logger,
    redis,
    repository,
    events,
    stores,
    notifications,
    mirror,
    docker,
    daemons,
    digests,
    maker,
    keyring,
    redactors,
    engine: { repository: mirror.repository, images: engineImages },
  }
  const workers: { lookForLost(): void }[] = []
  const workingCopy = stack.use(
    keepWorkingCopy({
      ...{ redis, stores, logger, listProjects: () => listProjects(stores.whole) },
      onWhole: () => {
        for (const worker of workers) worker.lookForLost()
      },
    }),
  )
  await workingCopy.looked
  overrides.stopping?.throwIfAborted()
  const now = new Date()
  const reaped = [
    ...(await reap(docker, { workerId: config.workerId })),
    ...(await reapStale(docker, now)),
    ...(await reapCheckouts(config, now)),
  ]
  if (reaped.length > 0) logger.warn({ reaped }, 'Removed what an earlier worker of this name left behind.')
  await daemons.start()
  await publishEngineProfile(redis, { ...maker, insecureRegistries, allowed, imageDigestTtlSeconds })

  const app = stack.adopt(createBuilderApp(context), (opened) => opened.close())
  const url = await listen(app, config)
  stack.defer(() => {
    stopping.abort()
  })
  const { intervalSeconds, ...settings } = config.retention
  stack.use(keepCompactingAudit(stores.whole, logger))
  stack.use(keepRetaining({ stores, redis, repository, settings, intervalSeconds, logger }))
  const concurrency = config.concurrency ?? bearableBuilds(machine, limits)
  workers.push(
    stack.adopt(startBuildWorker(context, concurrency), (worker) => worker.stop()),
    stack.use(startFleetWorkers(context)),
  )
  const started = stack.move()
  return {
    url,
    async [Symbol.asyncDispose]() {
      await using _watch = abandonWhenAway(redis)
      impatience.abort()
      await closeTogether([app.close(), started.disposeAsync()])
    },
  }
}

/** Identifiers of the images that a build runs in, whatever they are called. @throws EngineError */
async function findEngineImages(docker: Docker, { engine }: BuilderConfig): Promise<string[]> {
  const images = await Promise.all(
    [engine.image, engine.daemonImage].map((reference) => ensureImage(docker, reference)),
  )
  return images.map(({ id }) => id)
}

function engineIdentity(images: readonly string[]): string {
  return createHash('sha256').update(images.join('\n')).digest('hex')
}
