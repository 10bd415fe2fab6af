import { isAbsolute } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ProblemError } from '@edgesmith/contract/problem'
import { Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'

export type OpenRedisOptions = {
  /**
   * How long a command waits while Redis is away or does not answer: `brief` fails it after three seconds at
   * the most, for requests; `endless` waits until Redis is back, for workers; `none` fails it at once, or after half
   * a second without an answer, for what can be done without Redis.
   */
  patience: 'none' | 'brief' | 'endless'
  /** Name of the connection in Redis's `CLIENT LIST`. */
  name: string
  /** Told of each failed connection; the connection is tried again by itself. */
  onError: (error: Error) => void
}

/** Seconds after which a client should come again when Redis is away. */
const retryAfterSeconds = 5

/** How long a command of a `brief` connection may take, in milliseconds, and one of a connection without patience. */
const briefCommandMs = 2500
const impatientCommandMs = 500

/**
 * How long Redis may leave a command without an answer before the connection counts as broken, in milliseconds:
 * of a `brief` connection little more than a command may take, so that what is asked of a Redis that hangs is
 * not done once it goes on; of an `endless` one longer than BullMQ's blocking commands wait (ten seconds).
 */
const silenceMs = { none: 1000, brief: 3000, endless: 60_000 } as const

/** How commands wait for a connection, and for an answer. */
const waits = {
  none: { maxRetriesPerRequest: 0, enableOfflineQueue: false, commandTimeout: impatientCommandMs },
  brief: { maxRetriesPerRequest: 3, commandTimeout: briefCommandMs },
  endless: { maxRetriesPerRequest: null },
} as const

/** How often a service that stops looks whether Redis still answers, in milliseconds. */
const lookMs = 500

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
    socketTimeout: silenceMs[patience],
    ...waits[patience],
  })
  redis.on('error', onError)
  trackDuplicates(redis)
  return redis
}

/** Closes a connection once the commands under way are answered, or soon when Redis is away. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === 'end') return
  if (redis.status === 'ready' && (await answers(redis))) {
    try {
      await redis.quit()
      return
    } catch (error) {
      if (!isRedisUnavailable(error)) throw error
    }
  }
  giveUp(redis)
}

/**
 * Gives Redis up once it does not answer, until this is disposed of: what waits for it, on the connection or one
 * that was made like it, then fails. For a service that stops: it must not wait for a Redis that is away.
 */
export function abandonWhenAway(redis: Redis): AsyncDisposable {
  const ended = new AbortController()
  const watch = async () => {
    while (await answers(redis)) await delay(lookMs, undefined, { signal: ended.signal })
    if (ended.signal.aborted) return
    for (const connection of [redis, ...(duplicates.get(redis) ?? [])]) giveUp(connection)
  }
  const watching = watch().catch((error: unknown) => {
    if (!ended.signal.aborted) throw error
  })
  return {
    async [Symbol.asyncDispose]() {
      ended.abort()
      await watching
    },
  }
}

/** The connections that were made like another, those of BullMQ's workers among them. */
const duplicates = new WeakMap<Redis, Set<Redis>>()

function trackDuplicates(redis: Redis): void {
  const made = new Set<Redis>()
  duplicates.set(redis, made)
  const duplicate = redis.duplicate.bind(redis)
  redis.duplicate = (override) => {
    const connection = duplicate(override)
    made.add(connection)
    connection.once('end', () => made.delete(connection))
    return connection
  }
}

/**
 * Ends a connection for good, and whatever waits for it. Between two attempts to connect, `disconnect` alone would
 * leave that waiting for ever, and so it would leave commands that were sent before the connection broke.
 */
function giveUp(redis: Redis): void {
  redis.options.retryStrategy = () => null
  if (redis.status === 'reconnecting') redis.connect().catch(() => undefined)
  redis.disconnect()
  const unanswered = Reflect.get(redis, 'prevCommandQueue') as Unanswered | null | undefined
  for (let item = unanswered?.shift(); item !== undefined; item = unanswered?.shift()) {
    item.command.reject(new Error('Connection is closed.'))
  }
}

/** ioredis's queue of what is to be sent again once the connection is back (`lib/Redis.ts`). */
type Unanswered = { shift(): { command: { reject(error: Error): void } } | undefined }

/** Whether Redis answers as soon as a request needs it. */
async function answers(redis: Redis): Promise<boolean> {
  if (redis.status === 'end') return false
  const settled = new AbortController()
  const answer = redis.ping().then(
    () => true,
    () => false,
  )
  const silence = delay(briefCommandMs, false, { signal: settled.signal }).catch(() => false)
  try {
    return await Promise.race([answer, silence])
  } finally {
    settled.abort()
  }
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
  'Command timed out',
  "Stream isn't writeable and enableOfflineQueue options is false",
]

/** How Redis refuses what it could do at another time: it starts, its disk or its memory is full, a replica is gone. */
const refusals =
  /^(LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|MISCONF|OOM|NOREPLICAS|BUSY|TRYAGAIN|Socket timeout)[ .]/

/** True when the error says that Redis could not be reached, or cannot do now what it was asked. */
export function isRedisUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error.name === 'MaxRetriesPerRequestError' || closedMessages.includes(error.message)) return true
  if (refusals.test(error.message)) return true
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
