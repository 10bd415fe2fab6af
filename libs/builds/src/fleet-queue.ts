import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { queuePrefix } from './build-keys.ts'
import { whileAvailable } from './redis-connection.ts'

/**
 * What is to be done for a fleet, each with a queue of its own so that the one never waits for the other:
 * `fleets` makes its ISOs, `fleet-checksums` computes their SHA-256.
 */
export type FleetQueueName = 'fleets' | 'fleet-checksums'

/** Which fleet. All else is in its record. */
export type FleetJob = { fleetId: string }

/** How often a job that fails is run again, and after how long at first, in milliseconds; each time double that. */
export const jobAttempts = 6
const firstDelayMs = 1000

/** A queue of fleets' jobs. */
export class FleetQueue implements AsyncDisposable {
  readonly #queue: Queue<FleetJob>

  /** The connection stays the caller's; dispose of the queue before closing it. */
  constructor(redis: Redis, name: FleetQueueName, onError: (error: Error) => void) {
    this.#queue = new Queue<FleetJob>(name, {
      connection: redis,
      prefix: queuePrefix,
      defaultJobOptions: {
        removeOnComplete: true,
        removeOnFail: true,
        stackTraceLimit: 1,
        attempts: jobAttempts,
        backoff: { type: 'exponential', delay: firstDelayMs },
      },
    })
    this.#queue.on('error', onError)
  }

  /** Adds the job of a fleet; one that is there already stays. Throws `upstream-unavailable`. */
  async enqueue(fleetId: string): Promise<void> {
    await whileAvailable(() => this.#queue.add('fleet', { fleetId }, { jobId: fleetId }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close()
  }
}
