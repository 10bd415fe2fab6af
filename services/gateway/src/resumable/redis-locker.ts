import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { whileAvailable } from '@edgesmith/builds/redis-connection'
import { ProblemError } from '@edgesmith/contract/problem'
import { projectName, type ProjectRef } from '@edgesmith/contract/project'
import type { Lock, Locker } from '@tus/server'
import type { Redis } from 'ioredis'

/** How long a lock outlives a gateway that was killed, in milliseconds. */
const lockMs = 10_000
/** How often a lock is prolonged and its holder sees that another request waits, in milliseconds. */
const beatMs = 500
/** How long a waiting request counts as waiting, in milliseconds. */
const wantedMs = 2000
const pollMs = 50

/** Prolongs the lock KEYS[1] of ARGV[1]; answers whether it was still held, and whether KEYS[2] is there. */
const prolong = `
local held = redis.call('get', KEYS[1]) == ARGV[1]
if held then redis.call('pexpire', KEYS[1], ARGV[2]) end
return { held and 1 or 0, redis.call('exists', KEYS[2]) }`

const release = `
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0`

/** How long a request waits for a lock: longer than the lock of a killed gateway stays. */
export const lockPatienceMs = lockMs + 5000

/**
 * Locks of a project's resumable uploads in Redis, so that of several requests to several gateways one at a time
 * works on an upload. A waiting request asks the holder to stop: it is the client that came back,
 * while the gateway has not noticed yet that the old connection is dead.
 */
export class RedisLocker implements Locker {
  readonly #redis: Redis
  readonly #prefix: string
  readonly #patienceMs: number

  constructor(
    redis: Redis,
    project: ProjectRef,
    { patienceMs = lockPatienceMs }: { patienceMs?: number } = {},
  ) {
    this.#redis = redis
    this.#prefix = `edgesmith:project:${projectName(project)}:resumable-upload:`
    this.#patienceMs = patienceMs
  }

  newLock(id: string): Lock {
    return new RedisLock(this.#redis, `${this.#prefix}${id}`, this.#patienceMs)
  }
}

class RedisLock implements Lock {
  readonly #redis: Redis
  readonly #key: string
  readonly #wantedKey: string
  readonly #patienceMs: number
  readonly #token = randomUUID()
  #beat: NodeJS.Timeout | undefined

  constructor(redis: Redis, key: string, patienceMs: number) {
    this.#redis = redis
    this.#key = key
    this.#wantedKey = `${key}:wanted`
    this.#patienceMs = patienceMs
  }

  /** @throws ProblemError `upload-locked` when the holder does not stop in time */
  async lock(signal: AbortSignal, cancel: () => void | Promise<void>): Promise<void> {
    const deadline = Date.now() + this.#patienceMs
    while (!(await this.#take())) {
      signal.throwIfAborted()
      if (Date.now() >= deadline) throw locked()
      await whileAvailable(() => this.#redis.set(this.#wantedKey, '1', 'PX', wantedMs))
      await delay(pollMs)
    }
    this.#beat = setInterval(() => {
      // A lock that cannot be prolonged may be another's soon.
      this.#prolong().then(
        (goOn) => {
          if (!goOn) void cancel()
        },
        () => void cancel(),
      )
    }, beatMs)
  }

  async unlock(): Promise<void> {
    clearInterval(this.#beat)
    await whileAvailable(() => this.#redis.eval(release, 1, this.#key, this.#token))
  }

  async #take(): Promise<boolean> {
    const taken = await whileAvailable(() => this.#redis.set(this.#key, this.#token, 'PX', lockMs, 'NX'))
    if (taken === null) return false
    await whileAvailable(() => this.#redis.del(this.#wantedKey))
    return true
  }

  async #prolong(): Promise<boolean> {
    const answer = await this.#redis.eval(prolong, 2, this.#key, this.#wantedKey, this.#token, lockMs)
    const [held, wanted] = answer as [number, number]
    return held === 1 && wanted === 0
  }
}

function locked(): ProblemError {
  return new ProblemError(
    'upload-locked',
    'Another request is working on this upload, or its content is being checked. Ask again shortly.',
    { headers: { 'retry-after': '5' } },
  )
}
