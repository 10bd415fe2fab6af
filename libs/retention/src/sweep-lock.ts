import { randomUUID } from 'node:crypto'
import { flightKey } from '@edgesmith/builds/build-keys'
import { defineBuildScripts } from '@edgesmith/builds/build-scripts'
import { whileAvailable } from '@edgesmith/builds/redis-connection'
import { projectName, type ProjectRef } from '@edgesmith/contract/project'
import type { Redis } from 'ioredis'

/** How long the lock outlives a process that died, in milliseconds. */
const ttlMs = 60_000

/** The lock is no longer ours: another run may have begun. */
export class SweepLockLost extends Error {
  override name = 'SweepLockLost'
}

/** The right to remove things of a project, of one run at a time. Dispose of it to give it up. */
export class SweepLock implements AsyncDisposable {
  readonly #redis: Redis
  readonly #key: string
  readonly #token: string
  readonly #timer: NodeJS.Timeout
  /** What became of the last renewal by the timer. */
  #renewal: Promise<unknown> = Promise.resolve()

  /** Takes the lock; undefined while another run has it. */
  static async take(connection: Redis, project: ProjectRef): Promise<SweepLock | undefined> {
    const redis = defineBuildScripts(connection)
    const key = flightKey(`${projectName(project)}:retention`)
    const token = randomUUID()
    const taken = await whileAvailable(() => redis.set(key, token, 'PX', ttlMs, 'NX'))
    return taken === null ? undefined : new SweepLock(redis, key, token)
  }

  private constructor(redis: Redis, key: string, token: string) {
    this.#redis = redis
    this.#key = key
    this.#token = token
    this.#timer = setInterval(() => {
      // A renewal that fails is made up for, or told, by `renew`.
      this.#renewal = redis.renewFlight(key, token, ttlMs).catch((error: unknown) => error)
    }, ttlMs / 3)
  }

  /** Renews the lock before something is removed. @throws SweepLockLost, ProblemError `upstream-unavailable` */
  async renew(): Promise<void> {
    const isHeld = await whileAvailable(() => this.#redis.renewFlight(this.#key, this.#token, ttlMs))
    if (isHeld !== 1) throw new SweepLockLost('The lock of retention ran out before the run ended.')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewal
    await whileAvailable(() => this.#redis.endFlight(this.#key, this.#token))
  }
}
