import { BuildRepository } from '@edgesmith/builds/build-repository'
import { BuildWorker } from '@edgesmith/builds/build-worker'
import { openRedis } from '@edgesmith/builds/redis-connection'
import { at, fail } from './redis.ts'

// A worker in a process of its own, to be killed: it claims a build, says so, and hangs.
const redis = openRedis(process.argv[2] ?? '', { patience: 'endless', name: 'victim', onError: fail })
const repository = new BuildRepository(redis)
new BuildWorker({
  ...{
    redis,
    repository,
    concurrency: 1,
    lockDurationMs: 500,
    maxLostWorkers: 1,
    reconcileIntervalMs: 60_000,
  },
  async run({ buildId, attempt }) {
    await repository.claim(buildId, attempt, at)
    process.stdout.write('running\n')
    return new Promise(() => undefined)
  },
  fail: () => Promise.reject(new Error('unexpected')),
  onError: fail,
})
