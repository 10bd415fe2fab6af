import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { Agent, get, request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import { startRedisServer, type RedisServer } from '@edgesmith/builds/redis-server'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { createBuild } from '@edgesmith/builds/build-state'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { Upload } from '@edgesmith/contract/upload'
import { drainMs } from '@edgesmith/service/grace-period'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { fetch as fetchAsGateway } from '../support/as-gateway.ts'
import { asOperator, operatorKey } from '../support/as-operator.ts'
import { ownProject, ownStore } from '../support/projects.ts'
import { tlsDirectoryOf } from '../support/service-certificates.ts'
import {
  shortGraceSeconds,
  StoppingService,
  untilRefused,
  type ServiceEnd,
} from '../support/stopping-service.ts'
import { UnhelpfulServer } from '../support/unhelpful-server.ts'

const graceMs = shortGraceSeconds * 1000
const cutMs = drainMs(shortGraceSeconds)
const MiB = 1024 ** 2

/** What becomes of a redis-server while a gateway uses it: nothing, or it dies and its address is refused, or it hangs. */
const waysOfRedis: Readonly<Record<string, (server: RedisServer) => void>> = {
  'that answers': () => undefined,
  'that was killed': ({ pid }) => {
    process.kill(pid, 'SIGKILL')
  },
  'that was stopped': ({ pid }) => {
    process.kill(pid, 'SIGTERM')
  },
  'that hangs': ({ pid }) => {
    process.kill(pid, 'SIGSTOP')
  },
}

/** More than the kernel and the service buffer of a download. */
const artifactBytes = Buffer.alloc(64 * MiB, 'artifact')

function assertInTime({ exitCode, tookMs }: ServiceEnd, service: StoppingService): void {
  assert.equal(exitCode, 0, service.log)
  assert.ok(tookMs < graceMs, `it took ${tookMs} ms`)
}

describe('A service that is told to stop', { timeout: 300_000 }, () => {
  const stack = new AsyncDisposableStack()
  let directory: string
  let environment: NodeJS.ProcessEnv
  let artifactId: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-stop-'))
    stack.defer(() => rm(directory, { recursive: true }))
    const objects = join(directory, 'objects')
    environment = { OBJECT_STORE: 'directory', OBJECT_DIRECTORY: objects, TMPDIR: join(directory, 'tmp') }
    await mkdir(join(directory, 'tmp'))
    const source = Readable.from([artifactBytes])
    const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'
    const stored = await publishArtifact(ownStore(await openDirectoryStore(objects)), {
      ...{ buildId, name: 'a.bin', source },
    })
    artifactId = stored.id
  })
  after(async () => {
    assert.deepEqual(await readdir(join(directory, 'tmp')), [], 'temporary files')
    await stack.disposeAsync()
  })

  function start(
    service: 'artifact' | 'validation' | 'gateway',
    env: NodeJS.ProcessEnv = {},
  ): StoppingService {
    const prefix = service.toUpperCase()
    return new StoppingService(service, {
      ...environment,
      [`${prefix}_PORT`]: '0',
      [`${prefix}_INTERNAL_PORT`]: '0',
      SERVICE_TLS_DIRECTORY: tlsDirectoryOf(service),
      ...(service === 'artifact' ? { SIGNING_KEYS: 'k'.repeat(32) } : {}),
      ...(service === 'validation' ? { CANVOS_MIRROR_DIRECTORY: join(directory, 'canvos.git') } : {}),
      ...(service === 'gateway' ? { BOOTSTRAP_API_KEY: operatorKey } : {}),
      ...env,
    })
  }

  /** Begins a download of the artifact, of which nothing is read as yet. */
  async function beginDownload(service: StoppingService): Promise<IncomingMessage> {
    const made = await fetchAsGateway(
      `${await service.internalUrl}/v1/artifacts/${artifactId}/download-url`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      },
    )
    const { url } = (await made.json()) as DownloadUrl
    const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage]
    assert.equal(response.statusCode, 200)
    return response
  }

  it('finishes downloads that are under way, and takes no others', async () => {
    await using service = start('artifact')
    const download = await beginDownload(service)
    service.tellToStop()
    await untilRefused(await service.url)
    await untilRefused(await service.internalUrl)
    const hash = createHash('sha256')
    for await (const chunk of download as AsyncIterable<Buffer>) hash.update(chunk)
    assert.equal(hash.digest('hex'), createHash('sha256').update(artifactBytes).digest('hex'))
    assertInTime(await service.ended, service)
    assert.ok((await service.ended).tookMs < cutMs, 'it waits for nothing else')
  })

  it('cuts downloads off that do not end within its grace period', async () => {
    await using service = start('artifact')
    const download = await beginDownload(service)
    const end = await service.stop()
    assertInTime(end, service)
    assert.ok(end.tookMs >= cutMs, `it took ${end.tookMs} ms`)
    await assert.rejects(download.toArray(), { code: 'ECONNRESET' })
  })

  it('waits for no connection that has no request', async () => {
    await using service = start('artifact')
    const agent = new Agent({ keepAlive: true })
    const [answer] = (await once(get(`${await service.url}/healthz`, { agent }), 'response')) as [
      IncomingMessage,
    ]
    await text(answer)
    const silent = connect(Number(new URL(await service.url).port), '127.0.0.1')
    silent.on('error', () => undefined)
    await once(silent, 'connect')
    const closed = once(silent.resume(), 'close')
    const end = await service.stop()
    await closed
    agent.destroy()
    assertInTime(end, service)
    assert.ok(end.tookMs < cutMs, `it took ${end.tookMs} ms`)
  })

  it('ends in time: validation', async () => {
    await using service = start('validation')
    await service.url
    const end = await service.stop()
    assertInTime(end, service)
    assert.ok(end.tookMs < cutMs, `it took ${end.tookMs} ms`)
  })

  describe('while it starts', () => {
    for (const service of ['artifact', 'validation', 'gateway'] as const) {
      for (const how of ['hangs up', 'hangs'] as const) {
        it(`does not wait for an object store that ${how}: ${service}`, async () => {
          await using store = await UnhelpfulServer.open(how)
          const env = { OBJECT_STORE: 'minio', MINIO_ENDPOINT: store.url.replace('tcp', 'http') }
          const credentials = { MINIO_ACCESS_KEY: 'access-key', MINIO_SECRET_KEY: 'secret-key' }
          await using starting = start(service, { ...env, ...credentials })
          await store.called
          assertInTime(await starting.stop(), starting)
        })
      }
    }
  })

  for (const [how, takeAway] of Object.entries(waysOfRedis)) {
    describe(`The gateway, with a Redis ${how}`, () => {
      let server: RedisServer
      before(async () => {
        server = await startRedisServer({
          dataDirectory: await mkdtemp(join(directory, 'redis-')),
          onUnexpectedExit: () => undefined,
        })
      })
      after(() => server[Symbol.asyncDispose]())

      it('finishes what it can, ends event streams, and stops in time', async () => {
        await using gateway = start('gateway', { REDIS_URL: server.url })
        const url = await gateway.url
        const buildId = await createQueuedBuild(server)
        const events = await fetch(`${url}/v1/builds/${buildId}/events`, { headers: asOperator })
        assert.equal(events.status, 200)
        const upload = new SlowUpload(url, how)
        await upload.begun
        const broken = assert.rejects(events.text(), TypeError)
        takeAway(server)
        gateway.tellToStop()
        await untilRefused(url)
        const { status, body } = await upload.finish()
        assert.equal(status, 201, body)
        assert.match((JSON.parse(body) as Upload).id, /^sha256:/)
        // It is broken off, for it is not at its end.
        await broken
        const end = await gateway.ended
        assertInTime(end, gateway)
      })
    })
  }

  it('cuts uploads off that do not end within its grace period', async () => {
    await using server = await startRedisServer({
      dataDirectory: join(directory, 'redis'),
      onUnexpectedExit: () => undefined,
    })
    await using gateway = start('gateway', { REDIS_URL: server.url })
    const upload = new SlowUpload(await gateway.url, 'cut off')
    await upload.begun
    const cut = assert.rejects(upload.answered, { code: 'ECONNRESET' })
    const end = await gateway.stop()
    await cut
    assertInTime(end, gateway)
    assert.ok(end.tookMs >= cutMs, `it took ${end.tookMs} ms`)
  })
})

async function createQueuedBuild({ url }: RedisServer): Promise<string> {
  const redis = openRedis(url, { patience: 'brief', name: 'test', onError: () => undefined })
  const build = createBuild(
    {
      ...ownProject,
      target: 'iso',
      canvos: { tag: 'v4.10.0', commit: '0'.repeat(40) },
      spec: {},
      arguments: {},
      labels: {},
      diagnostics: [],
    },
    new Date(),
  )
  await new BuildRepository(redis).create(build, new Date())
  await closeRedis(redis)
  return build.id
}

/** An upload whose end is not sent before it is to be. */
class SlowUpload {
  /** Settles when the gateway has read of it. */
  readonly begun: Promise<unknown>
  readonly answered: Promise<{ status: number | undefined; body: string }>
  readonly #finish: () => void

  constructor(url: string, content: string) {
    const sent = request(`${url}/v1/uploads`, {
      method: 'POST',
      agent: false,
      headers: { ...asOperator, 'content-type': 'application/octet-stream', expect: '100-continue' },
    })
    this.begun = once(sent, 'continue').then(() => new Promise((resolve) => sent.write(content, resolve)))
    this.#finish = () => {
      sent.end()
    }
    this.answered = once(sent, 'response').then(async ([response]: IncomingMessage[]) => ({
      status: response?.statusCode,
      body: response === undefined ? '' : await text(response),
    }))
    sent.on('error', () => undefined)
    this.answered.catch(() => undefined)
  }

  async finish(): ReturnType<() => typeof this.answered> {
    this.#finish()
    return this.answered
  }
}
