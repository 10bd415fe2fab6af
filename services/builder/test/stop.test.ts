import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { SteadyRedis } from '../../../libs/builds/test/steady-redis.ts'
import {
  isAlive,
  isRefused,
  shortGraceSeconds,
  StoppingService,
  type ServiceEnd,
} from '../../../test/support/stopping-service.ts'
import { UnhelpfulServer } from '../../../test/support/unhelpful-server.ts'
import { Harness } from './harness.ts'
import { makeTrialRepository } from './trial-repository.ts'

const hanging = { arguments: { BEHAVIOUR: 'hang' } }

const nothing = () => Promise.resolve()

/** What becomes of Redis before the builder is told to stop, and what brings it back. */
const waysOfRedis: Readonly<Record<string, readonly ((redis: SteadyRedis) => Promise<void>)[]>> = {
  'that answers': [nothing, nothing],
  'that was killed': [(redis) => redis.kill(), (redis) => redis.start()],
  'whose address is refused': [(redis) => redis.remove(), (redis) => redis.start()],
  'that hangs': [
    (redis) => {
      redis.pause()
      return nothing()
    },
    (redis) => {
      redis.resume()
      return nothing()
    },
  ],
}

describe('A builder that is told to stop', { timeout: 600_000 }, () => {
  const stack = new AsyncDisposableStack()
  let temporary: string
  let redis: SteadyRedis
  let harness: Harness
  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-stop-'))
    stack.defer(() => rm(directory, { recursive: true }))
    temporary = join(directory, 'tmp')
    await mkdir(temporary)
    redis = stack.use(await SteadyRedis.open(directory))
    const repository = stack.use(await makeTrialRepository())
    const variables = { CANVOS_REPOSITORY: repository.path, BUILDER_LOST_LIMIT: '1' }
    harness = stack.use(await Harness.open(variables, redis))
  })
  after(() => stack.disposeAsync())

  function start(env: NodeJS.ProcessEnv = {}): StoppingService {
    return new StoppingService('builder', {
      ...harness.environment,
      LOG_LEVEL: 'info',
      TMPDIR: temporary,
      ...env,
    })
  }

  async function assertStopped(service: StoppingService, { exitCode, tookMs }: ServiceEnd): Promise<void> {
    assert.equal(exitCode, 0, service.log)
    assert.ok(tookMs < shortGraceSeconds * 1000, `it took ${tookMs} ms`)
    assert.deepEqual(await harness.leftovers(), [])
    assert.deepEqual(await readdir(temporary), [], 'temporary files')
  }

  async function hangs(id: string, times: number): Promise<void> {
    let seen = 0
    await harness.until(
      id,
      (event) => event.type === 'log' && event.line.endsWith('| hanging') && (seen += 1) === times,
    )
  }

  for (const [how, [takeAway = nothing, bringBack = nothing]] of Object.entries(waysOfRedis)) {
    it(`hands its build on in time, and leaves nothing, with a Redis ${how}`, async () => {
      await using builder = start()
      const url = await builder.url
      const id = await harness.submit(hanging)
      await hangs(id, 1)
      const children = await builder.descendants()
      await takeAway(redis)
      await assertStopped(builder, await builder.stop())
      assert.ok(await isRefused(url))
      for (const child of children) assert.ok(!(await isAlive(child)), `process ${child}`)

      await bringBack(redis)
      await using next = start()
      await next.url
      await hangs(id, 2)
      await harness.cancel(id)
      assert.equal((await harness.ended(id)).state, 'canceled')
      await assertStopped(next, await next.stop())
    })
  }

  for (const how of ['hangs up', 'hangs'] as const) {
    it(`while it starts, does not wait for a Redis that ${how}`, async () => {
      await using server = await UnhelpfulServer.open(how)
      await using builder = start({ REDIS_URL: server.url.replace('tcp:', 'redis:') })
      await server.called
      await assertStopped(builder, await builder.stop())
    })
  }
})
