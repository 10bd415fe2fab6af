import type { Build, FailureCode } from '@edgesmith/contract/build'
import { DelayedError, WaitingError, Worker } from 'bullmq'
import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { queuePrefix } from './build-keys.ts'
import { BuildQueue, jobId, queueName } from './build-queue.ts'
import type { BuildJob, ShareOf } from './build-queue.ts'
import type { BuildRepository } from './build-repository.ts'
import { defineBuildScripts } from './build-scripts.ts'
import { isEnd } from './build-state.ts'
import { fleetKey } from './fleet-keys.ts'
import { renewLocks, type HeldJob } from './lock-renewal.ts'

/** The reason of a job's signal when the worker stops: hand the build on. */
export class WorkerStopping extends Error {
  override name = 'WorkerStopping'
}

/** The reason of a job's signal when another worker got the job: stop, and write nothing any more. */
export class JobLost extends Error {
  override name = 'JobLost'
}

/** What became of a job: see `BuildWorkerOptions.run`. */
export type JobResult = 'done' | 'hand-on' | 'later'

export type BuildWorkerOptions = {
  /** Opened with `endless` patience; stays the caller's. */
  redis: Redis
  repository: BuildRepository
  /** Builds run at a time. */
  concurrency: number
  /** A job whose worker has not been heard of for so long runs again, in milliseconds. */
  lockDurationMs: number
  /** How often a job may lose its worker and run again, before its build is failed. */
  maxLostWorkers: number
  /** How often builds whose job is gone are looked for, in milliseconds. */
  reconcileIntervalMs: number
  /** Tells the share of a tenant; all have the same when left out. */
  shareOf?: ShareOf | undefined
  /**
   * Runs a build to its end, which it also records; first it has to claim the build, and be done
   * when that cannot be had: jobs can come twice. Resolves with `hand-on` when it stopped because
   * its signal was aborted with `WorkerStopping`; another worker then runs the build anew. With `later`
   * the build waits for another one: any worker is given the job again after a while.
   */
  run: (job: BuildJob, signal: AbortSignal) => Promise<JobResult>
  /**
   * Records that a build has failed because its job did: `worker-lost` after too many lost workers,
   * `internal` when `run` threw. Can be told several times of the same.
   */
  fail: (job: BuildJob, code: FailureCode & ('worker-lost' | 'internal'), error: Error) => Promise<void>
  onError: (error: Error) => void
}

/** A job under way: what ends it, and the token that its lock has. */
type Running = {
  readonly controller: AbortController
  /** The job by BullMQ's name, which a job that came once more may have another of, and the token of its lock. */
  readonly lock: HeldJob
}

/** How long a build waits before it is looked at again, in milliseconds. */
const laterMs = 1000

/**
 * How often it is looked whose turn it is, besides each time that a job comes, begins or ends: when whoever did
 * that died, or a limit was raised. In milliseconds.
 */
const advanceIntervalMs = 1000

/** What BullMQ says when a job stalled more often than allowed. */
const stalledMessage = 'job stalled more than allowable limit'

/**
 * Runs queued builds. A build whose worker died runs again, on any worker, once the dead one's lock
 * has run out. Builds whose job was lost are found by their records, at the start and then regularly.
 */
export class BuildWorker {
  readonly #options: BuildWorkerOptions
  readonly #queue: BuildQueue
  readonly #worker: Worker<BuildJob>
  readonly #running = new Map<string, Running>()
  readonly #background = new Set<Promise<void>>()
  readonly #renewal: Disposable
  readonly #timers: readonly NodeJS.Timeout[]
  #isAdvancing = false

  /** Begins at once. */
  constructor(options: BuildWorkerOptions) {
    this.#options = options
    this.#queue = new BuildQueue(options.redis, options.onError, options.shareOf)
    this.#worker = new Worker<BuildJob>(queueName, (job, token) => this.#process(job, token), {
      connection: options.redis,
      prefix: queuePrefix,
      concurrency: options.concurrency,
      lockDuration: options.lockDurationMs,
      stalledInterval: options.lockDurationMs,
      maxStalledCount: options.maxLostWorkers,
      skipLockRenewal: true,
    })
    this.#worker.on('error', options.onError)
    this.#renewal = renewLocks(this.#worker, {
      held: () => [...this.#running.values()].map(({ lock }) => lock),
      durationMs: options.lockDurationMs,
      onLost: (jobIds) => {
        for (const id of jobIds) this.#inBackground(this.#keepOrLose(id))
      },
      onError: options.onError,
    })
    this.#worker.on('failed', (job, error) => {
      if (job !== undefined) this.#inBackground(this.#failAndLeave(job.data, error))
    })
    this.#timers = [
      setInterval(() => {
        this.#inBackground(this.reconcile())
      }, options.reconcileIntervalMs),
      setInterval(() => {
        // While Redis is away one look is enough.
        if (this.#isAdvancing) return
        this.#isAdvancing = true
        this.#inBackground(this.#queue.advance().finally(() => (this.#isAdvancing = false)))
      }, advanceIntervalMs),
    ]
    this.#inBackground(this.reconcile())
  }

  /**
   * Stops taking jobs and waits until those under way are handed on or done: their signals are
   * aborted with `WorkerStopping`.
   */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    const closed = this.#worker.close()
    for (const { controller } of this.#running.values()) {
      controller.abort(new WorkerStopping('The worker stops.'))
    }
    await closed
    this.#renewal[Symbol.dispose]()
    await Promise.all(this.#background)
    await this.#queue[Symbol.asyncDispose]()
  }

  /** Looks for builds whose job is gone before it is time to: Redis may have lost them. */
  lookForLost(): void {
    if (this.#worker.closing === undefined) this.#inBackground(this.reconcile())
  }

  /**
   * Looks for builds that have not ended and whose job is gone: gives them a new one, or fails them
   * when the job failed. Answers how many it found.
   */
  async reconcile(): Promise<number> {
    let found = 0
    for (const state of ['queued', 'running'] as const) {
      for await (const build of this.#list(state)) {
        if ((await this.#queue.findCondition(build)).is === 'pending') continue
        if (await this.#reconcileBuild(build)) found++
      }
    }
    // Whoever was to say so died when these had ended.
    for await (const job of this.#queue.known()) {
      if (!(await this.#isOpen(job))) await this.#leave(job)
    }
    await this.#queue.advance()
    return found
  }

  /** The job can be gone because the build has just ended or been retried: looks at both again. */
  async #reconcileBuild(listed: Build): Promise<boolean> {
    const job: BuildJob = { buildId: listed.id, attempt: listed.attempt }
    if (!(await this.#isOpen(job))) return false
    const condition = await this.#queue.findCondition(listed)
    if (condition.is === 'pending') return false
    if (condition.is === 'failed') await this.#fail(job, new Error(condition.reason))
    else if (await this.#isLeftToFleet(listed)) return false
    else await this.#queue.enqueueAnew(listed)
    return true
  }

  /** A build has no job of its own while its fleet's job sees to it. */
  async #isLeftToFleet({ fleet }: Build): Promise<boolean> {
    if (fleet === undefined) return false
    return (await this.#options.redis.sismember(fleetKey.open, fleet.id)) === 1
  }

  async *#list(state: 'queued' | 'running'): AsyncGenerator<Build> {
    let cursor: string | undefined
    do {
      const page = await this.#options.repository.list({
        state,
        limit: 200,
        ...(cursor === undefined ? {} : { cursor }),
      })
      yield* page.items
      cursor = page.nextCursor
    } while (cursor !== undefined)
  }

  async #process(job: Job<BuildJob>, token: string | undefined): Promise<void> {
    // A worker that closes can still be given a job, even the one that it has just handed on.
    const result = this.#worker.closing === undefined ? await this.#run(job, token ?? '') : 'hand-on'
    if (result === 'done') {
      await this.#leave(job.data)
      await this.#queue.advance()
      return
    }
    if (result === 'later') {
      await job.moveToDelayed(Date.now() + laterMs, token)
      throw new DelayedError()
    }
    await job.moveToWait(token)
    throw new WaitingError()
  }

  async #run(job: Job<BuildJob>, token: string): Promise<JobResult> {
    const id = jobId(job.data)
    const controller = new AbortController()
    // A process that was starved can be given a job again that it still runs: the first run lost it.
    this.#running.get(id)?.controller.abort(new JobLost('This worker was given the job again.'))
    this.#running.set(id, { controller, lock: { id: job.id ?? id, token } })
    try {
      await this.#queue.begin(job.data)
      return await this.#options.run(job.data, controller.signal)
    } finally {
      if (this.#running.get(id)?.controller === controller) this.#running.delete(id)
    }
  }

  /**
   * The lock of a job ran out: Redis was away for longer than it lasts, or this process was starved. A job that
   * nobody has taken meanwhile is locked anew, and its run goes on.
   */
  async #keepOrLose(id: string): Promise<void> {
    const running = [...this.#running.values()].find(({ lock }) => lock.id === id)
    if (running === undefined) return
    const queue = `${queuePrefix}:${queueName}`
    const isKept = await defineBuildScripts(this.#options.redis).lockJobAnew(
      ...[`${queue}:${id}:lock`, `${queue}:active`, `${queue}:stalled`],
      ...[id, running.lock.token, this.#options.lockDurationMs],
    )
    if (isKept === 0) running.controller.abort(new JobLost('Another worker has the job.'))
  }

  async #failAndLeave(job: BuildJob, error: Error): Promise<void> {
    await this.#fail(job, error)
    await this.#leave(job)
  }

  async #leave({ buildId, attempt }: BuildJob): Promise<void> {
    await this.#queue.withdraw({ id: buildId, attempt })
  }

  /** Two workers, or an event and a reconciliation, can see the same failure: one records it. */
  async #fail(job: BuildJob, error: Error): Promise<void> {
    if (!(await this.#isOpen(job))) return
    try {
      await this.#options.fail(job, error.message === stalledMessage ? 'worker-lost' : 'internal', error)
    } catch (failure) {
      if (await this.#isOpen(job)) throw failure
    }
  }

  async #isOpen({ buildId, attempt }: BuildJob): Promise<boolean> {
    const build = await this.#options.repository.find(buildId)
    return build?.attempt === attempt && !isEnd(build.state)
  }

  #inBackground(work: Promise<unknown>): void {
    const settled = work.then(
      () => undefined,
      (error: unknown) => {
        this.#options.onError(
          error instanceof Error ? error : new Error('Background work failed.', { cause: error }),
        )
      },
    )
    this.#background.add(settled)
    void settled.then(() => this.#background.delete(settled))
  }
}
