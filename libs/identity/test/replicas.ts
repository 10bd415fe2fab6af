import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startRedisServer, type RedisServer } from '@edgesmith/builds/redis-server'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { Redis } from 'ioredis'
import { ApiKeys } from '../src/api-keys.ts'
import { RecordCache } from '../src/record-cache.ts'
import { Tenants } from '../src/tenants.ts'

/** What a process of the service knows of identities. */
export type Replica = { readonly redis: Redis; readonly tenants: Tenants; readonly keys: ApiKeys }

/** Two processes of the service on one Redis and one object store. */
export type Replicas = AsyncDisposable & {
  readonly first: Replica
  readonly second: Replica
  /** Ends Redis. */
  readonly stopRedis: () => Promise<void>
}

export async function startReplicas(dataDirectory: string, store: ObjectStore): Promise<Replicas> {
  await using resources = new AsyncDisposableStack()
  let redisServer: RedisServer | undefined = await startRedisServer({
    dataDirectory,
    onUnexpectedExit: (error) => {
      throw error
    },
  })
  const { url } = redisServer
  const stopRedis = async () => {
    await redisServer?.[Symbol.asyncDispose]()
    redisServer = undefined
  }
  resources.defer(stopRedis)
  const open = async (name: string): Promise<Replica> => {
    const redis = resources.adopt(
      openRedis(url, { patience: 'brief', name, onError: () => undefined }),
      closeRedis,
    )
    await redis.ping()
    const cache = new RecordCache(redis)
    return { redis, tenants: new Tenants({ store, cache }), keys: new ApiKeys({ store, cache }) }
  }
  const [first, second] = [await open('first'), await open('second')]
  const opened = resources.move()
  return { first, second, stopRedis, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
