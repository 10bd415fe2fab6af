import { randomUUID } from 'node:crypto'
import { projectName, type ProjectRef } from '@edgesmith/contract/project'
import type { Redis } from 'ioredis'
import { flightKey } from './build-keys.ts'
import { defineBuildScripts } from './build-scripts.ts'

export type FlightOptions = {
  readonly redis: Redis
  /** Whose it is: the same of another project is another's. Left out for what is of the whole service. */
  readonly project?: ProjectRef
  /** What is made: only one worker at a time makes what has this key. */
  readonly key: string
  /** Time after which a worker that is not heard of has lost the right, in milliseconds. */
  readonly ttlMs: number
  /** Told when the right cannot be renewed; two workers may then make the same, which does no harm. */
  readonly onError: (error: Error) => void
}

/**
 * The right to make what others wait for, renewed until it is disposed of. Undefined while another has it;
 * that of a dead worker runs out.
 */
export async function takeFlight(options: FlightOptions): Promise<AsyncDisposable | undefined> {
  const { project, key, ttlMs, onError } = options
  const redis = defineBuildScripts(options.redis)
  const lock = flightKey(project === undefined ? key : `${projectName(project)}:${key}`)
  const token = randomUUID()
  if ((await redis.set(lock, token, 'PX', ttlMs, 'NX')) === null) return undefined
  const timer = setInterval(() => {
    redis.renewFlight(lock, token, ttlMs).catch((error: unknown) => {
      onError(error instanceof Error ? error : new Error('The flight is not renewed.', { cause: error }))
    })
  }, ttlMs / 3)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await redis.endFlight(lock, token)
    },
  }
}
