import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { queuePrefix } from '@edgesmith/builds/build-keys'
import { BuildQueue, queueName } from '@edgesmith/builds/build-queue'
import type { BuildJob } from '@edgesmith/builds/build-queue'
import { describeFailure, finishBuild, retryBuild } from '@edgesmith/builds/build-state'
import { BuildWorker, JobLost, WorkerStopping } from '@edgesmith/builds/build-worker'
import type { BuildWorkerOptions } from '@edgesmith/builds/build-worker'
import type { Build } from '@edgesmith/contract/build'
import { Queue } from 'bullmq'
import { at, fail, newBuild, openStage } from './redis.ts'
import type { Stage } from './redis.ts'

describe('BuildWorker', () => {
  let stage: Stage
  let queue: BuildQueue
  beforeEach(async () => {
    stage = await openStage()
    queue = new BuildQueue(stage.redis, fail)
  })
  afterEach(async () => {
    await queue[Symbol.asyncDispose]()
    await stage[Symbol.asyncDispose]()
  })

  async function submit(): Promise<Build> {
    const { build } = await stage.repository.create(newBuild(), at)
    await queue.enqueue(build)
    return build
  }

  const succeed = (build: Build) => finishBuild(build, { state: 'succeeded', artifacts: [] }, at)

  /** Runs a build to success, unless it cannot be claimed. */
  async function runToSuccess({ buildId, attempt }: BuildJob): Promise<'done'> {
    const { run } = await stage.repository.claim(buildId, attempt, at)
    await concludeBuild(stage, buildId, succeed, at, { run })
    return 'done'
  }

  async function recordFailure(
    { buildId }: BuildJob,
    code: 'worker-lost' | 'internal',
    error: Error,
  ): Promise<void> {
    const failure = describeFailure(code, error.message)
    await concludeBuild(stage, buildId, (build) => finishBuild(build, { state: 'failed', failure }, at), at)
  }

  function work(options: Partial<BuildWorkerOptions> = {}): BuildWorker & AsyncDisposable {
    const worker = new BuildWorker({
      ...{ redis: stage.redis, repository: stage.repository, concurrency: 2, lockDurationMs: 2000 },
      ...{
        maxLostWorkers: 1,
        reconcileIntervalMs: 60_000,
        run: runToSuccess,
        fail: recordFailure,
        onError: fail,
      },
      ...options,
    })
    return Object.assign(worker, { [Symbol.asyncDispose]: () => worker.stop() })
  }

  /** Waits until the build has ended; the answer is its record. */
  async function end({ id }: Build): Promise<Build> {
    await Array.fromAsync(await stage.events.read(id, { follow: true }))
    return stage.repository.get(id)
  }

  /** Starts a worker of another process, waits until it runs a build, and kills it. */
  async function loseWorker(): Promise<void> {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'worker-process.ts'), stage.url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  it('runs each build once, however often it is enqueued', async () => {
    const builds = await Promise.all(Array.from({ length: 10 }, submit))
    await Promise.all(builds.map((build) => queue.enqueue(build)))
    const jobs: string[] = []
    await using _worker = work({
      run(job) {
        jobs.push(job.buildId)
        return runToSuccess(job)
      },
    })
    for (const build of builds) assert.equal((await end(build)).state, 'succeeded')
    assert.deepEqual(jobs.sort(), builds.map(({ id }) => id).sort())
  })

  it("runs another tenant's build soon, whatever one has in line, and as the weights are", async () => {
    const shares = new BuildQueue(stage.redis, fail, (tenant) =>
      Promise.resolve({ weight: tenant === 'big' ? 3 : 1 }),
    )
    const submitAs = async (tenant: string) => {
      const { build } = await stage.repository.create(newBuild({ tenant }), at)
      await shares.enqueue(build)
    }
    for (let index = 0; index < 200; index += 1) await submitAs('acme')
    const begun: string[] = []
    const through = Promise.withResolvers<undefined>()
    await using _worker = work({
      concurrency: 1,
      run: async (job) => {
        const { tenant } = await stage.repository.get(job.buildId)
        begun.push(tenant)
        if (begun.length === 20) await submitAs('small')
        if (begun.length === 60) for (let index = 0; index < 60; index += 1) await submitAs('big')
        if (begun.length === 120) through.resolve(undefined)
        return runToSuccess(job)
      },
    })
    await through.promise
    const turn = begun.indexOf('small')
    assert.ok(turn >= 20 && turn < 24, `turn ${turn}`)
    const big = begun.slice(64, 104).filter((tenant) => tenant === 'big').length
    assert.ok(big >= 28 && big <= 32, `${big} of 40`)
    await shares[Symbol.asyncDispose]()
  })

  it('runs no more of a tenant than its limit, while others have the workers', async () => {
    const limited = new BuildQueue(stage.redis, fail, (tenant) =>
      Promise.resolve({ weight: 10, ...(tenant === 'limited' ? { runningBuilds: 1 } : {}) }),
    )
    const builds = await Promise.all(
      ['limited', 'limited', 'free', 'free'].map(async (tenant) => {
        const { build } = await stage.repository.create(newBuild({ tenant }), at)
        await limited.enqueue(build)
        return build
      }),
    )
    const running = new Map<string, number>()
    let most = 0
    const third = Promise.withResolvers<undefined>()
    await using _worker = work({
      concurrency: 4,
      run: async (job) => {
        const { tenant } = await stage.repository.get(job.buildId)
        running.set(tenant, (running.get(tenant) ?? 0) + 1)
        most = Math.max(most, running.get('limited') ?? 0)
        if ((running.get('limited') ?? 0) + (running.get('free') ?? 0) === 3) third.resolve(undefined)
        await third.promise
        running.set(tenant, (running.get(tenant) ?? 0) - 1)
        return runToSuccess(job)
      },
    })
    for (const build of builds) assert.equal((await end(build)).state, 'succeeded')
    assert.equal(most, 1)
    await limited[Symbol.asyncDispose]()
  })

  it('gives the place of a build to the next one when whoever was to do so died', async () => {
    const single = new BuildQueue(stage.redis, fail, () => Promise.resolve({ weight: 1, runningBuilds: 1 }))
    const { build: ended } = await stage.repository.create(newBuild(), at)
    await single.enqueue(ended)
    const { run } = await stage.repository.claim(ended.id, 1, at)
    await concludeBuild(stage, ended.id, succeed, at, { run })
    await stage.redis.del(`edgesmith:queue:builds:${ended.id}-1`)
    await stage.redis.del('edgesmith:queue:builds:wait')
    const { build } = await stage.repository.create(newBuild(), at)
    await single.enqueue(build)
    await using _worker = work()
    assert.equal((await end(build)).state, 'succeeded')
    await single[Symbol.asyncDispose]()
  })

  it('runs a build again whose worker was killed', async () => {
    const build = await submit()
    await loseWorker()
    assert.equal((await stage.repository.get(build.id)).state, 'running')
    await using _worker = work()
    assert.equal((await end(build)).state, 'succeeded')
  })

  it('fails a build that lost its worker too often, after which it can be retried', async () => {
    const build = await submit()
    await loseWorker()
    await loseWorker()
    await using _worker = work({ run: () => Promise.reject(new Error('must not run')) })
    const { failure } = await end(build)
    assert.equal(failure?.type, 'urn:edgesmith:problem:worker-lost')
    const retried = await stage.repository.update(build.id, retryBuild, at)
    await queue.enqueue(retried)
    assert.deepEqual(await queue.findCondition(retried), { is: 'pending' })
  })

  it('fails a build whose run threw', async () => {
    const build = await submit()
    await using _worker = work({ run: () => Promise.reject(new Error('broken')) })
    const { failure } = await end(build)
    assert.equal(failure?.type, 'urn:edgesmith:problem:internal')
    assert.equal(failure.detail, 'broken')
  })

  it('fails such a build later when that could not be recorded at first', async () => {
    const build = await submit()
    const refused = Promise.withResolvers<Error>()
    const first = work({
      run: () => Promise.reject(new Error('broken')),
      fail: () => Promise.reject(new Error('no database')),
      onError: refused.resolve,
    })
    assert.equal((await refused.promise).message, 'no database')
    await first.stop()
    assert.equal((await stage.repository.get(build.id)).state, 'queued')
    await using _worker = work()
    assert.equal((await end(build)).failure?.detail, 'broken')
  })

  it('finds builds whose job is gone, queued or running, at its start and later', async () => {
    const { build: queued } = await stage.repository.create(newBuild(), at)
    const { build: running } = await stage.repository.create(newBuild(), at)
    await stage.repository.claim(running.id, 1, at)
    await using worker = work({ reconcileIntervalMs: 100 })
    assert.equal((await end(queued)).state, 'succeeded')
    assert.equal((await end(running)).state, 'succeeded')
    const { build: later } = await stage.repository.create(newBuild(), at)
    assert.equal((await end(later)).state, 'succeeded')
    assert.equal(await worker.reconcile(), 0)
  })

  it('hands builds on when it stops', async () => {
    const build = await submit()
    const started = Promise.withResolvers<undefined>()
    const reasons: unknown[] = []
    const first = work({
      // Long enough for a busy machine: nobody is to take the job for lost here.
      lockDurationMs: 60_000,
      run: async ({ buildId, attempt }, signal) => {
        await stage.repository.claim(buildId, attempt, at)
        started.resolve(undefined)
        await once(signal, 'abort')
        reasons.push(signal.reason)
        return 'hand-on'
      },
    })
    await started.promise
    await first.stop()
    assert.ok(reasons[0] instanceof WorkerStopping)
    assert.equal(reasons.length, 1)
    assert.equal(await queue.countWaiting(), 1)
    await using _worker = work()
    assert.equal((await end(build)).state, 'succeeded')
  })

  it('stops the run of a build that another worker has got, which may not write any more', async () => {
    const build = await submit()
    const started = Promise.withResolvers<undefined>()
    const lost = Promise.withResolvers<unknown>()
    const errors: string[] = []
    let lostOnce = false
    await using _first = work({
      run: async (job, signal) => {
        const { run } = await stage.repository.claim(job.buildId, job.attempt, at)
        if (lostOnce) return runToSuccess(job)
        started.resolve(undefined)
        await once(signal, 'abort')
        lost.resolve(signal.reason)
        lostOnce = true
        await assert.rejects(
          stage.repository
            .claim(job.buildId, job.attempt, at)
            .then(() => concludeBuild(stage, job.buildId, succeed, at, { run })),
          { code: 'state-conflict' },
        )
        return 'done'
      },
      onError: (error) => errors.push(error.message),
    })
    await started.promise
    await stage.redis.set(`edgesmith:queue:builds:${build.id}-1:lock`, 'another', 'PX', 2000)
    assert.ok((await lost.promise) instanceof JobLost)
    assert.equal((await end(build)).state, 'succeeded')
    assert.ok(errors.some((message) => message.includes('could not renew lock')))
  })

  it('stops its own first run of a build that it is given again', async () => {
    const build = await submit()
    const reasons: unknown[] = []
    const restarted = Promise.withResolvers<undefined>()
    await using _worker = work({
      lockDurationMs: 1000,
      maxLostWorkers: 5,
      run: async (job, signal) => {
        if (signal.aborted || reasons.length > 0) return runToSuccess(job)
        reasons.push(undefined)
        // As if the process had been starved: the lock is gone and the job waits again.
        const key = 'edgesmith:queue:builds'
        await stage.redis.del(`${key}:${build.id}-1:lock`)
        await stage.redis.lrem(`${key}:active`, 0, `${build.id}-1`)
        await stage.redis.lpush(`${key}:wait`, `${build.id}-1`)
        await stage.redis.zadd(`${key}:marker`, 0, '0')
        await once(signal, 'abort')
        reasons.push(signal.reason)
        restarted.resolve(undefined)
        return 'done'
      },
      onError: () => undefined,
    })
    await restarted.promise
    assert.ok(reasons[1] instanceof JobLost)
    assert.equal((await end(build)).state, 'succeeded')
  })

  it('runs a build on whose job comes once more by another name, and keeps its lock', async () => {
    const build = await submit()
    const again = new Queue(queueName, { connection: stage.redis, prefix: queuePrefix })
    const reasons: unknown[] = []
    const errors: string[] = []
    await using _worker = work({
      lockDurationMs: 1000,
      run: async (job, signal) => {
        if (reasons.length === 0) {
          reasons.push(undefined)
          await again.add('build', job, { jobId: 'again' })
          await once(signal, 'abort')
          reasons.push(signal.reason)
          return 'done'
        }
        // Until its lock was renewed, or it has lost it.
        for (let before = Infinity, left = 0; left <= before && !signal.aborted;) {
          before = left === 0 ? before : left
          left = await stage.redis.pttl('edgesmith:queue:builds:again:lock')
        }
        signal.throwIfAborted()
        return runToSuccess(job)
      },
      onError: (error) => errors.push(error.message),
    })
    assert.equal((await end(build)).state, 'succeeded')
    assert.ok(reasons[1] instanceof JobLost)
    assert.deepEqual(errors, [])
    await again.close()
  })
})
