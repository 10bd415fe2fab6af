import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import { openDocker } from '@edgesmith/engine/docker'
import { labelFilter } from '@edgesmith/engine/labels'
import { drainMs } from '@edgesmith/service/grace-period'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { SteadyRedis } from '../../../libs/builds/test/steady-redis.ts'
import { removeWorker } from '../../../deploy/setup/workers.ts'
import { asOperator, fetch } from '../../../test/support/as-operator.ts'
import { fromSetUp } from '../../../test/support/environment.ts'
import { ownStore } from '../../../test/support/projects.ts'
import {
  isAlive,
  isRefused,
  shortGraceSeconds,
  StoppingService,
  untilRefused,
  type ServiceEnd,
} from '../../../test/support/stopping-service.ts'
import { standaloneEnvironment } from './environment.ts'

const graceMs = shortGraceSeconds * 1000

/** More than the kernel and the service buffer of a download. */
const artifactBytes = Buffer.alloc(64 * 1024 ** 2, 'artifact')

describe('Standalone that is told to stop', { timeout: 300_000 }, () => {
  let directory: string
  let temporary: string
  let environment: NodeJS.ProcessEnv
  let artifactId: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-stop-'))
    temporary = join(directory, 'tmp')
    await mkdir(temporary)
    environment = { ...standaloneEnvironment(directory), TMPDIR: temporary }
    const store = ownStore(await openDirectoryStore(join(directory, 'objects')))
    const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'
    const source = Readable.from([artifactBytes])
    artifactId = (await publishArtifact(store, { buildId, name: 'a.bin', source })).id
  })
  after(async () => {
    await removeWorker(fromSetUp('DOCKER_HOST'), basename(directory))
    await rm(directory, { recursive: true })
  })

  let standalone: StoppingService
  beforeEach(() => {
    standalone = start()
  })
  afterEach(() => standalone[Symbol.asyncDispose]())

  function start(env: NodeJS.ProcessEnv = {}): StoppingService {
    return new StoppingService('standalone', { ...environment, ...env }, 'gateway')
  }

  /** Its own redis-server. */
  async function redisPid(): Promise<number> {
    return Number(await readFile(join(directory, 'redis/redis.pid'), 'utf8'))
  }

  async function assertNothingLeft(processes: readonly number[]): Promise<void> {
    for (const pid of processes) assert.ok(!(await isAlive(pid)), `process ${pid}`)
    const docker = openDocker({ host: fromSetUp('DOCKER_HOST'), certificateDirectory: undefined })
    const filters = labelFilter({ workerId: basename(directory) })
    assert.deepEqual(await docker.listContainers({ all: true, filters }), [])
    assert.deepEqual(await docker.listNetworks({ filters }), [])
    assert.deepEqual(await readdir(temporary), [], 'temporary files')
  }

  function assertInTime({ exitCode, tookMs }: ServiceEnd, code = 0): void {
    assert.equal(exitCode, code, standalone.log)
    assert.ok(tookMs < graceMs, `it took ${tookMs} ms`)
  }

  async function beginDownloads(): Promise<IncomingMessage[]> {
    const url = await standalone.url
    const made = await fetch(`${url}/v1/artifacts/${artifactId}/download-url`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    const signed = ((await made.json()) as DownloadUrl).url
    const byGateway = `${url}${new URL(signed).pathname}${new URL(signed).search}`
    return Promise.all(
      [signed, byGateway].map(async (from) => {
        const [response] = (await once(get(from, { agent: false, headers: asOperator }), 'response')) as [
          IncomingMessage,
        ]
        assert.equal(response.statusCode, 200)
        return response
      }),
    )
  }

  it('finishes downloads of all services, and leaves nothing', async () => {
    const url = await standalone.url
    const downloads = await beginDownloads()
    const processes = await standalone.descendants()
    assert.ok(processes.includes(await redisPid()))
    standalone.tellToStop()
    await untilRefused(url)
    for (const download of downloads) assert.ok((await buffer(download)).equals(artifactBytes))
    assertInTime(await standalone.ended)
    await assertNothingLeft(processes)
  })

  it('cuts them off together that do not end within its grace period', async () => {
    const downloads = await beginDownloads()
    const processes = await standalone.descendants()
    const end = await standalone.stop()
    assertInTime(end)
    assert.ok(end.tookMs >= drainMs(shortGraceSeconds), `it took ${end.tookMs} ms`)
    for (const download of downloads) await assert.rejects(buffer(download), { code: 'ECONNRESET' })
    await assertNothingLeft(processes)
  })

  it('ends a redis-server of its own that hangs', async () => {
    const url = await standalone.url
    const processes = await standalone.descendants()
    process.kill(await redisPid(), 'SIGSTOP')
    assertInTime(await standalone.stop())
    assert.ok(await isRefused(url))
    await assertNothingLeft(processes)
  })

  it('leaves nothing either when its redis-server ends, which it says by its exit code', async () => {
    await standalone.url
    const processes = await standalone.descendants()
    process.kill(await redisPid(), 'SIGKILL')
    assert.equal((await standalone.ended).exitCode, 1)
    await assertNothingLeft(processes)
  })

  for (const [how, takeAway] of [
    ['was killed', (redis: SteadyRedis) => redis.kill()],
    [
      'hangs',
      (redis: SteadyRedis) => {
        redis.pause()
        return Promise.resolve()
      },
    ],
  ] as const) {
    it(`ends in time with a Redis of others that ${how}`, async () => {
      await standalone[Symbol.asyncDispose]()
      await removeWorker(fromSetUp('DOCKER_HOST'), basename(directory))
      const place = await mkdtemp(join(directory, 'others-'))
      await using redis = await SteadyRedis.open(place)
      standalone = start({ REDIS_URL: redis.url })
      await standalone.url
      const processes = await standalone.descendants()
      await takeAway(redis)
      assertInTime(await standalone.stop())
      await assertNothingLeft(processes)
    })
  }
})
