import { DelayedError, WaitingError, Worker, type Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { queuePrefix } from './build-keys.ts'
import { WorkerStopping } from './build-worker.ts'
import { jobAttempts, type FleetJob, type FleetQueueName } from './fleet-queue.ts'

/** What became of a job: it waits for something and is to be run again later, or is handed to another worker. */
export type FleetJobResult = 'done' | 'hand-on' | { readonly laterMs: number }

export type FleetWorkerOptions = {
  /** Opened with `endless` patience; stays the caller's. */
  readonly redis: Redis
  readonly queue: FleetQueueName
  /** A job whose worker has not been heard of for so long runs again, in milliseconds. */
  readonly lockDurationMs: number
  /** Does what there is to do now; the signal is aborted with `WorkerStopping` when the worker stops. */
  readonly run: (fleetId: string, signal: AbortSignal) => Promise<FleetJobResult>
  /** Told when a job failed as often as it may. */
  readonly fail: (fleetId: string, error: Error) => Promise<void>
  readonly onError: (error: Error) => void
}

/** A job that loses its worker runs again, as often as that happens: it goes on where it was. */
const maxStalledCount = 1000

/** Runs the jobs of fleets, one at a time. A job that waits does not keep the worker. */
export class FleetWorker {
  readonly #options: FleetWorkerOptions
  readonly #worker: Worker<FleetJob>
  readonly #stopping = new AbortController()
  readonly #background = new Set<Promise<void>>()

  /** Begins at once. */
  constructor(options: FleetWorkerOptions) {
    this.#options = options
    this.#worker = new Worker<FleetJob>(options.queue, (job, token) => this.#process(job, token), {
      connection: options.redis,
      prefix: queuePrefix,
      concurrency: 1,
      lockDuration: options.lockDurationMs,
      stalledInterval: options.lockDurationMs,
      maxStalledCount,
    })
    this.#worker.on('error', options.onError)
    this.#worker.on('failed', (job, error) => {
      options.onError(error)
      if (job !== undefined && job.attemptsMade >= jobAttempts) this.#fail(job.data.fleetId, error)
    })
  }

  /** Stops taking jobs, and waits until the one under way is done or handed on. */
  async stop(): Promise<void> {
    const closed = this.#worker.close()
    this.#stopping.abort(new WorkerStopping('The worker stops.'))
    await closed
    await Promise.all(this.#background)
  }

  async #process(job: Job<FleetJob>, token: string | undefined): Promise<void> {
    const result = this.#worker.closing === undefined ? await this.#run(job.data.fleetId) : 'hand-on'
    if (result === 'done') return
    if (result === 'hand-on') {
      await job.moveToWait(token)
      throw new WaitingError()
    }
    await job.moveToDelayed(Date.now() + result.laterMs, token)
    throw new DelayedError()
  }

  async #run(fleetId: string): Promise<FleetJobResult> {
    try {
      return await this.#options.run(fleetId, this.#stopping.signal)
    } catch (error) {
      if (error instanceof WorkerStopping) return 'hand-on'
      throw error
    }
  }

  #fail(fleetId: string, error: Error): void {
    const settled = this.#options.fail(fleetId, error).catch((failure: unknown) => {
      this.#options.onError(
        failure instanceof Error ? failure : new Error('A fleet failed.', { cause: failure }),
      )
    })
    this.#background.add(settled)
    void settled.then(() => this.#background.delete(settled))
  }
}
