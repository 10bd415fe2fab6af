import { pingRedis } from '@edgesmith/builds/redis-connection'
import { createApp, type App } from '@edgesmith/service/app'
import type { BuilderContext } from './context.ts'

/** Makes the builder's app: health and readiness alone. */
export function createBuilderApp(context: BuilderContext): App {
  const { config, redis, stores, docker, daemons, logger } = context
  return createApp({
    logger,
    graceSeconds: config.graceSeconds,
    dependencies: [
      { name: 'redis', check: () => pingRedis(redis) },
      { name: 'object-store', check: () => stores.whole.check() },
      {
        name: 'docker',
        check: async () => {
          await docker.ping()
        },
      },
      {
        name: 'buildkit',
        check: () => daemons.check(),
      },
    ],
  })
}
