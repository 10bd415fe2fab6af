import { isAbsolute } from 'node:path'
import { ProblemError } from '@edgesmith/contract/problem'
import { Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'

export type OpenRedisOptions = {
  /**
   * How long a command waits while Redis is away: `brief` fails it after a second or two, for
   * requests; `endless` waits until Redis is back, for workers.
   */
  patience: 'brief' | 'endless'
  /** Name of the connection in Redis's `CLIENT LIST`. */
  name: string
  /** Told of each failed connection; the connection is tried again by itself. */
  onError: (error: Error) => void
}

/** Seconds after which a client should come again when Redis is away. */
const retryAfterSeconds = 5

/**
 * Connects to Redis at `redis://`, `rediss://`, `unix:///path/to/socket`, or the path of a socket.
 * Answers at once and connects in the background; close it with `closeRedis`.
 * @throws TypeError when the URL is none of these
 */
export function openRedis(url: string, { patience, name, onError }: OpenRedisOptions): Redis {
  const redis = new Redis({
    ...parseRedisUrl(url),
    connectionName: name,
    connectTimeout: 5000,
    retryStrategy: (times) => Math.min(times * 200, 2000),
    maxRetriesPerRequest: patience === 'brief' ? 3 : null,
  })
  redis.on('error', onError)
  return redis
}

/** Closes a connection once the commands under way are answered, or at once when Redis is away. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === 'end') return
  if (redis.status === 'ready') {
    try {
      await redis.quit()
      return
    } catch (error) {
      if (!isRedisUnavailable(error)) throw error
    }
  }
  redis.disconnect()
}

/** Throws when Redis cannot be used now; for readiness. */
export async function pingRedis(redis: Redis): Promise<void> {
  await whileAvailable(() => redis.ping())
}

/**
 * Runs an operation on Redis.
 * @throws ProblemError `upstream-unavailable` when Redis is away
 */
export async function whileAvailable<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    if (!isRedisUnavailable(error)) throw error
    throw new ProblemError(
      'upstream-unavailable',
      'The database of builds cannot be reached. Try again later.',
      {
        headers: { 'retry-after': String(retryAfterSeconds) },
        cause: error,
      },
    )
  }
}

/** Messages of ioredis's own errors; they have no codes. */
const closedMessages = [
  'Connection is closed.',
  "Stream isn't writeable and enableOfflineQueue options is false",
]

/** True when the error says that Redis could not be reached, or is only starting or stopping. */
export function isRedisUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error.name === 'MaxRetriesPerRequestError' || closedMessages.includes(error.message)) return true
  if (/^(LOADING|MASTERDOWN|READONLY|CLUSTERDOWN) /.test(error.message)) return true
  return 'syscall' in error && ['connect', 'read', 'write'].includes(String(error.syscall))
}

function parseRedisUrl(url: string): RedisOptions {
  if (isAbsolute(url)) return { path: url }
  const parsed = URL.parse(url)
  if (parsed === null || !['redis:', 'rediss:', 'unix:'].includes(parsed.protocol)) {
    throw new TypeError(
      `${JSON.stringify(url)} is not a Redis URL: redis://, rediss:// or unix:///path expected.`,
    )
  }
  const credentials: RedisOptions = {
    ...(parsed.username === '' ? {} : { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password === '' ? {} : { password: decodeURIComponent(parsed.password) }),
  }
  if (parsed.protocol === 'unix:') {
    return {
      ...credentials,
      path: decodeURIComponent(parsed.pathname),
      db: Number(parsed.searchParams.get('db') ?? 0),
    }
  }
  const database = parsed.pathname.replace('/', '')
  if (!/^\d*$/.test(database))
    throw new TypeError(`${JSON.stringify(database)} is not the number of a database.`)
  return {
    ...credentials,
    host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: parsed.port === '' ? 6379 : Number(parsed.port),
    db: Number(database),
    ...(parsed.protocol === 'rediss:' ? { tls: { servername: parsed.hostname } } : {}),
  }
}
