import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { BuildEvents } from '@edgesmith/builds/build-events'
import { BuildQueue } from '@edgesmith/builds/build-queue'
import type { BuildJob } from '@edgesmith/builds/build-queue'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { finishBuild } from '@edgesmith/builds/build-state'
import { BuildWorker } from '@edgesmith/builds/build-worker'
import { Notifications } from '@edgesmith/builds/notifications'
import { abandonWhenAway, closeRedis, openRedis, whileAvailable } from '@edgesmith/builds/redis-connection'
import type { Build } from '@edgesmith/contract/build'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { at, newBuild } from './redis.ts'
import { SteadyRedis } from './steady-redis.ts'

/** How long a request may take to be refused, with time for a busy machine, in milliseconds. */
const soonMs = 6000

const ignore = () => undefined

describe('a Redis that is away', { timeout: 120_000 }, () => {
  let directory: string
  let server: SteadyRedis
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-away-'))
    server = await SteadyRedis.open(directory)
  })
  afterEach(async () => {
    await server[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  /** What works on builds, as one process. */
  async function open(patience: 'brief' | 'endless') {
    const stack = new AsyncDisposableStack()
    const redis = stack.adopt(openRedis(server.url, { patience, name: 'test', onError: ignore }), closeRedis)
    const notifications = stack.use(new Notifications(redis, ignore))
    const stores = new ProjectStores(await openDirectoryStore(join(directory, 'store')))
    const repository = new BuildRepository(redis)
    const events = new BuildEvents({ redis, notifications, stores })
    const queue = stack.use(new BuildQueue(redis, ignore))
    const dispose = async () => {
      await using _watch = abandonWhenAway(redis)
      await stack.disposeAsync()
    }
    return {
      ...{ stack, redis, notifications, stores, repository, events, queue },
      [Symbol.asyncDispose]: dispose,
    }
  }
  type Process = Awaited<ReturnType<typeof open>>

  async function submit({ repository, queue }: Process): Promise<Build> {
    const { build } = await repository.create(newBuild(), at)
    await queue.enqueue(build)
    return build
  }

  function work(process: Process, run: (job: BuildJob, signal: AbortSignal) => Promise<void>): void {
    const worker = new BuildWorker({
      ...{ redis: process.redis, repository: process.repository, concurrency: 1, lockDurationMs: 500 },
      ...{ maxLostWorkers: 1, reconcileIntervalMs: 60_000 },
      async run(job, signal) {
        const { run: claim } = await process.repository.claim(job.buildId, job.attempt, at)
        await run(job, signal)
        if (signal.aborted) return 'hand-on'
        const succeed = (build: Build) => finishBuild(build, { state: 'succeeded', artifacts: [] }, at)
        await concludeBuild(process, job.buildId, succeed, at, { run: claim })
        return 'done'
      },
      fail: (_job, _code, error) => Promise.reject(error),
      onError: ignore,
    })
    process.stack.adopt(worker, (opened) => opened.stop())
  }

  async function end({ events, repository }: Process, { id }: Build): Promise<Build> {
    await Array.fromAsync(await events.read(id, { follow: true }))
    return repository.get(id)
  }

  const ways = {
    'does not answer': () => {
      server.pause()
    },
    'was killed': () => server.kill(),
  } as const

  for (const [how, goAway] of Object.entries(ways)) {
    it(`is told soon to a request when it ${how}, each time anew`, async () => {
      await using process = await open('brief')
      const { id } = await submit(process)
      await goAway()
      for (let request = 0; request < 3; request += 1) {
        const begun = performance.now()
        await assert.rejects(process.repository.get(id), (error: unknown) => {
          assert.ok(error instanceof Error && 'code' in error && 'headers' in error)
          assert.deepEqual([error.code, error.headers], ['upstream-unavailable', { 'retry-after': '5' }])
          return true
        })
        assert.ok(performance.now() - begun < soonMs)
      }
      await assert.rejects(submit(process), { code: 'upstream-unavailable' })
      await assert.rejects(process.notifications.subscribe('channel'), { code: 'upstream-unavailable' })
    })

    it(`does not hold a worker that stops when it ${how}; the build is run by another`, async () => {
      const process = await open('endless')
      const build = await submit(process)
      const running = Promise.withResolvers<undefined>()
      work(process, async (_job, signal) => {
        running.resolve(undefined)
        await once(signal, 'abort')
      })
      await running.promise
      await goAway()
      const begun = performance.now()
      await process[Symbol.asyncDispose]()
      assert.ok(performance.now() - begun < 2 * soonMs)
      if (how === 'was killed') await server.start()
      else server.resume()
      await using second = await open('endless')
      work(second, () => Promise.resolve())
      assert.equal((await end(second, build)).state, 'succeeded')
    })
  }

  it('answers what it had answered before, when it is back from being killed', async () => {
    await using process = await open('endless')
    const builds = await Promise.all(Array.from({ length: 50 }, () => submit(process)))
    await server.kill()
    await server.start()
    work(process, () => Promise.resolve())
    for (const build of builds) assert.equal((await end(process, build)).state, 'succeeded')
  })

  it('for longer than a lock lasts does not end the run of a build', async () => {
    await using process = await open('endless')
    const build = await submit(process)
    const back = Promise.withResolvers<undefined>()
    const running = Promise.withResolvers<undefined>()
    let runs = 0
    work(process, async (_job, signal) => {
      runs += 1
      running.resolve(undefined)
      await back.promise
      assert.equal(signal.aborted, false)
    })
    await running.promise
    const lock = `edgesmith:queue:builds:${build.id}-1:lock`
    const before = await process.redis.get(lock)
    server.pause()
    await new Promise((resolve) => setTimeout(resolve, 2000))
    server.resume()
    // The lock has run out and was taken anew.
    while ((await whileAvailable(() => process.redis.get(lock))) === null) continue
    assert.equal(await process.redis.get(lock), before)
    back.resolve(undefined)
    assert.equal((await end(process, build)).state, 'succeeded')
    assert.equal(runs, 1)
  })
})
