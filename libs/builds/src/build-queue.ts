import type { Build } from '@edgesmith/contract/build'
import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { queuePrefix } from './build-keys.ts'
import { whileAvailable } from './redis-connection.ts'
import { Turns, type Share } from './turns.ts'

/** Name of BullMQ's queue. */
export const queueName = 'builds'

/** What a job says: which attempt of which build to run. All else is in the build's record. */
export type BuildJob = { buildId: string; attempt: number }

/** How long a job that failed is kept, in seconds, so that its build can still be failed after a crash. */
const failedJobAgeSeconds = 7 * 24 * 60 * 60

/** How a build's job is: `pending` until it has ended, `lost` when neither its tenant's line nor BullMQ has one. */
export type JobCondition = { is: 'pending' } | { is: 'lost' } | { is: 'failed'; reason: string }

/** Tells the share of a tenant. */
export type ShareOf = (tenant: string) => Promise<Share>

type QueuedBuild = Pick<Build, 'id' | 'attempt' | 'tenant'>

/** The queue of builds to run: a line for each tenant, and BullMQ's queue of those whose turn it is. */
export class BuildQueue implements AsyncDisposable {
  readonly #queue: Queue<BuildJob>
  readonly #turns: Turns
  readonly #shareOf: ShareOf

  /**
   * The connection stays the caller's; dispose of the queue before closing it. Without `shareOf` all tenants have
   * the same share.
   */
  constructor(
    redis: Redis,
    onError: (error: Error) => void,
    shareOf: ShareOf = () => Promise.resolve({ weight: 1 }),
  ) {
    this.#queue = new Queue<BuildJob>(queueName, {
      connection: redis,
      prefix: queuePrefix,
      // A connection that was lost while it was asked for its version would leave the queue unusable.
      skipVersionCheck: true,
      defaultJobOptions: {
        removeOnComplete: true,
        removeOnFail: { age: failedJobAgeSeconds },
        stackTraceLimit: 1,
      },
    })
    this.#queue.on('error', onError)
    this.#turns = new Turns(redis)
    this.#shareOf = shareOf
  }

  /** Adds the job of a build's attempt. Doing so again changes nothing. Throws `upstream-unavailable`. */
  async enqueue({ id, attempt, tenant }: QueuedBuild): Promise<void> {
    await this.#turns.join(jobId({ buildId: id, attempt }), tenant, await this.#shareOf(tenant))
    await this.advance()
  }

  /** Adds the job of a build's attempt that is lost: wherever it was, it is to be run from the beginning. */
  async enqueueAnew(build: QueuedBuild): Promise<void> {
    await this.withdraw(build)
    await this.enqueue(build)
  }

  /** The attempt of a build has ended, or is not to be run any more: the next of its tenant has its place. */
  async withdraw({ id, attempt }: Pick<Build, 'id' | 'attempt'>): Promise<void> {
    await this.#turns.end(jobId({ buildId: id, attempt }))
  }

  /** A worker has begun the job. */
  async begin(job: BuildJob): Promise<void> {
    await this.#turns.begin(jobId(job))
    await this.advance()
  }

  /** Hands those whose turn it is to the workers. */
  async advance(): Promise<void> {
    for (const id of await this.#turns.call()) {
      await whileAvailable(() => this.#queue.add('build', parseJobId(id), { jobId: id }))
    }
  }

  /** Tells whether the job of a build's attempt will still be run. */
  async findCondition({ id, attempt }: Pick<Build, 'id' | 'attempt'>): Promise<JobCondition> {
    const name = jobId({ buildId: id, attempt })
    const job = await whileAvailable(() => this.#queue.getJob(name))
    const state = await whileAvailable(async () => job?.getState())
    if (job === undefined || state === 'unknown') {
      const turn = await this.#turns.find(name)
      return turn === 'in-line' || turn === 'called' ? { is: 'pending' } : { is: 'lost' }
    }
    return state === 'failed' ? { is: 'failed', reason: job.failedReason } : { is: 'pending' }
  }

  /** Attempts of builds that are in a line, or were handed to the workers and have not ended. */
  async *known(): AsyncGenerator<BuildJob> {
    for await (const id of this.#turns.jobs()) yield parseJobId(id)
  }

  /** How many jobs wait for a worker. */
  async countWaiting(): Promise<number> {
    return (await whileAvailable(() => this.#queue.getWaitingCount())) + (await this.#turns.count())
  }

  /** Seconds from one turn of the tenant to the next, lately; undefined when it had none. */
  async pace(tenant: string): Promise<number | undefined> {
    return this.#turns.pace(tenant)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close()
  }
}

/** One job for each attempt: BullMQ ignores a second of the same id. */
export function jobId({ buildId, attempt }: BuildJob): string {
  return `${buildId}-${attempt}`
}

function parseJobId(id: string): BuildJob {
  const end = id.lastIndexOf('-')
  return { buildId: id.slice(0, end), attempt: Number(id.slice(end + 1)) }
}
