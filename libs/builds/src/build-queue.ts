import type { Build } from '@edgesmith/contract/build'
import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { queuePrefix } from './build-keys.ts'
import { whileAvailable } from './redis-connection.ts'

/** Name of BullMQ's queue. */
export const queueName = 'builds'

/** What a job says: which attempt of which build to run. All else is in the build's record. */
export type BuildJob = { buildId: string; attempt: number }

/** How long a job that failed is kept, in seconds, so that its build can still be failed after a crash. */
const failedJobAgeSeconds = 7 * 24 * 60 * 60

/** How a build's job is: `pending` until it has ended, `lost` when BullMQ knows none. */
export type JobCondition = { is: 'pending' } | { is: 'lost' } | { is: 'failed'; reason: string }

/** The queue of builds to run. */
export class BuildQueue implements AsyncDisposable {
  readonly #queue: Queue<BuildJob>

  /** The connection stays the caller's; dispose of the queue before closing it. */
  constructor(redis: Redis, onError: (error: Error) => void) {
    this.#queue = new Queue<BuildJob>(queueName, {
      connection: redis,
      prefix: queuePrefix,
      defaultJobOptions: {
        removeOnComplete: true,
        removeOnFail: { age: failedJobAgeSeconds },
        stackTraceLimit: 1,
      },
    })
    this.#queue.on('error', onError)
  }

  /** Adds the job of a build's attempt. Doing so again changes nothing. Throws `upstream-unavailable`. */
  async enqueue({ id, attempt }: Pick<Build, 'id' | 'attempt'>): Promise<void> {
    const job: BuildJob = { buildId: id, attempt }
    await whileAvailable(() => this.#queue.add('build', job, { jobId: jobId(job) }))
  }

  /** Tells whether the job of a build's attempt will still be run. */
  async findCondition({ id, attempt }: Pick<Build, 'id' | 'attempt'>): Promise<JobCondition> {
    const job = await whileAvailable(() => this.#queue.getJob(jobId({ buildId: id, attempt })))
    const state = await whileAvailable(async () => job?.getState())
    if (job === undefined || state === 'unknown') return { is: 'lost' }
    return state === 'failed' ? { is: 'failed', reason: job.failedReason } : { is: 'pending' }
  }

  /** How many jobs wait for a worker. */
  countWaiting(): Promise<number> {
    return whileAvailable(() => this.#queue.getWaitingCount())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close()
  }
}

/** One job for each attempt: BullMQ ignores a second of the same id. */
export function jobId({ buildId, attempt }: BuildJob): string {
  return `${buildId}-${attempt}`
}
