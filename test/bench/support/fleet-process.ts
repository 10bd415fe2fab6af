import { ImageDigests } from '@edgesmith/bases/image-digests'
import { startFleetWorkers } from '@edgesmith/builder-service/fleet-workers'
import { BuildEvents } from '@edgesmith/builds/build-events'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { Notifications } from '@edgesmith/builds/notifications'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { createLogger, runUntilSignal } from '@edgesmith/service/lifecycle'
import { openMinioStore } from '@edgesmith/store/minio-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { maker } from './large-base.ts'

/** What of a builder makes the ISOs of fleets, as a process of its own that needs no Docker. */
const withoutConfig = () => ({})

await runUntilSignal(withoutConfig, async () => {
  const variable = (name: string) => process.env[name] ?? ''
  const logger = createLogger('fleets', 'warn')
  const onError = (error: Error) => {
    logger.error({ err: error }, 'Redis connection failed.')
  }
  await using stack = new AsyncDisposableStack()
  const store = await openMinioStore({
    endpoint: variable('MINIO_ENDPOINT'),
    accessKey: variable('MINIO_ACCESS_KEY'),
    secretKey: variable('MINIO_SECRET_KEY'),
    bucket: 'edgesmith',
  })
  const stores = new ProjectStores(store)
  const redis = stack.adopt(
    openRedis(variable('REDIS_URL'), { patience: 'endless', name: 'builder', onError }),
    closeRedis,
  )
  const notifications = stack.use(new Notifications(redis, onError))
  const digests = stack.use(new ImageDigests({ redis, insecureRegistries: [], allowed: [], ttlSeconds: 600 }))
  stack.use(
    startFleetWorkers({
      ...{ redis, stores, digests, maker, logger },
      repository: new BuildRepository(redis),
      events: new BuildEvents({ redis, notifications, stores }),
      config: { lockSeconds: 30 },
    }),
  )
  const opened = stack.move()
  return { url: '', [Symbol.asyncDispose]: () => opened.disposeAsync() }
})
