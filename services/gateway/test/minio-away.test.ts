import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import type { Problem } from '@edgesmith/contract/problem'
import type { Upload } from '@edgesmith/contract/upload'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { findUpload } from '@edgesmith/uploads/uploads'
import { Client } from 'minio'
import { startMinio, type MinioServer } from '../../../deploy/minio/server.ts'
import { asOperator, fetch } from '../../../test/support/as-operator.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { spawnGateway, type GatewayProcess } from './gateway-process.ts'
import { beginUpload, tusRequest } from './tus-client.ts'

const MiB = 1024 ** 2
const bucket = 'edgesmith'

/** Ways in which a server can be away: dead, or there and silent. */
const ways = { killed: 'SIGKILL', stopped: 'SIGSTOP' } as const

describe('Uploads while MinIO is away', () => {
  const resources = new AsyncDisposableStack()
  const content = Buffer.alloc(80 * MiB)
  const id = () => `sha256:${createHash('sha256').update(content).digest('hex')}`
  let environment: Record<string, string>
  let dataDir: string
  let minio: MinioServer
  let gateway: GatewayProcess

  before(async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-away-'))
    resources.defer(() => rm(directory, { recursive: true, force: true }))
    dataDir = path.join(directory, 'minio')
    const redis = resources.use(
      await startRedisServer({
        dataDirectory: path.join(directory, 'redis'),
        onUnexpectedExit: (error) => {
          throw error
        },
      }),
    )
    minio = await startMinio({ dataDir })
    environment = {
      GATEWAY_PORT: '0',
      REDIS_URL: redis.url,
      OBJECT_STORE: 'minio',
      MINIO_ENDPOINT: minio.endpoint,
      MINIO_ACCESS_KEY: minio.accessKey,
      MINIO_SECRET_KEY: minio.secretKey,
      // Less than the time for which MinIO is frozen, and more than the client waits for that.
      IDLE_TIMEOUT_SECONDS: '3',
    }
  })
  after(async () => {
    await minio[Symbol.asyncDispose]()
    await resources.disposeAsync()
  })
  beforeEach((context) => {
    // Other bytes each time: of the same ones there would be an upload already.
    createHash('sha256')
      .update(context.name)
      .digest()
      .copy(content, content.length / 2)
  })
  afterEach(() => gateway[Symbol.asyncDispose]())

  /** Takes the server away, and answers how it comes back. */
  async function takeAway(signal: NodeJS.Signals): Promise<() => Promise<void>> {
    if (signal === 'SIGSTOP') {
      await minio.freeze()
      return () => {
        minio.thaw()
        return Promise.resolve()
      }
    }
    minio.kill()
    await minio[Symbol.asyncDispose]()
    const { accessKey, secretKey, endpoint } = minio
    return async () => {
      minio = await startMinio({ dataDir, port: Number(new URL(endpoint).port), accessKey, secretKey })
    }
  }

  /** The content as a body, of which the second half is sent once `meanwhile` has ended. */
  function interrupted(meanwhile: () => Promise<void>): Readable {
    return Readable.from(
      (async function* () {
        for (let from = 0; from < content.length; from += MiB) {
          if (from === content.length / 4) await meanwhile()
          yield content.subarray(from, from + MiB)
        }
      })(),
    )
  }

  async function assertStored(): Promise<void> {
    const store = await openStore()
    const found = await findUpload(store, id())
    assert.ok(found !== undefined)
    assert.ok(content.equals(await buffer(await store.get(found.objectKey))))
    assert.equal(await countIncomplete(), 0)
  }

  async function openStore(): Promise<ObjectStore> {
    return new ProjectStores(await openMinioStore({ ...minio, bucket })).of(ownProject)
  }

  async function countIncomplete(): Promise<number> {
    const { hostname, port } = new URL(minio.endpoint)
    const client = new Client({ ...minio, endPoint: hostname, port: Number(port), useSSL: false })
    return (await client.listIncompleteUploadsQuery(bucket, '', '', '', '')).uploads.length
  }

  /** What a request that could be answered soon is told while the server is away. */
  async function assertRefusedSoon(): Promise<void> {
    const answer = await fetch(`${gateway.url}/v1/uploads/sha256:${'0'.repeat(64)}`)
    const problem = (await answer.json()) as Problem
    assert.deepEqual([answer.status, problem.type], [503, 'urn:edgesmith:problem:upstream-unavailable'])
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
  }

  for (const [way, signal] of Object.entries(ways)) {
    it(`go on as forms once it is back (${way})`, { timeout: 120_000 }, async () => {
      gateway = await spawnGateway(environment)
      let returning: Promise<void> | undefined
      const answer = await postForm(async () => {
        const bringBack = await takeAway(signal)
        returning = assertRefusedSoon().then(bringBack)
      })
      await returning
      assert.equal(answer.status, 201, await answer.clone().text())
      assert.equal(((await answer.json()) as Upload).id, id())
      await assertStored()
    })

    it(`go on as resumable uploads once it is back (${way})`, { timeout: 120_000 }, async () => {
      gateway = await spawnGateway(environment)
      const url = await beginUpload(gateway.url, content.length)
      const half = content.length / 2
      const first = await tusRequest('PATCH', url, { 'upload-offset': 0 }, content.subarray(0, half))
      assert.equal(first.status, 204, first.body)
      const bringBack = await takeAway(signal)
      const sending = tusRequest('PATCH', url, { 'upload-offset': half }, content.subarray(half))
      await assertRefusedSoon()
      await bringBack()
      const answer = await sending
      assert.equal(answer.status, 204, answer.body)
      assert.equal(answer.headers['upload-content-id'], id())
      await assertStored()
    })
  }

  it('are refused when it stays away for longer than is waited, and leave nothing', async () => {
    gateway = await spawnGateway({ ...environment, STORE_PATIENCE_SECONDS: '1' })
    let bringBack: (() => Promise<void>) | undefined
    const answer = await postForm(async () => {
      bringBack = await takeAway('SIGKILL')
    })
    const problem = (await answer.json()) as Problem
    assert.deepEqual([answer.status, problem.type], [503, 'urn:edgesmith:problem:upstream-unavailable'])
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
    // The rest of the body does not keep it.
    await gateway[Symbol.asyncDispose]()
    await bringBack?.()
    const store = await openStore()
    assert.equal(await findUpload(store, id()), undefined)
  })

  it('can be begun by a gateway that was there before it', async () => {
    const bringBack = await takeAway('SIGKILL')
    const starting = spawnGateway(environment)
    await assert.rejects(openMinioStore({ ...minio, bucket, patienceMs: 1000 }))
    await bringBack()
    gateway = await starting
    const answer = await fetch(`${gateway.url}/readyz`)
    const { dependencies } = (await answer.json()) as { dependencies: Record<string, string> }
    assert.equal(dependencies['object-store'], 'ok')
  })

  async function postForm(meanwhile: () => Promise<void>): Promise<Response> {
    const boundary = 'edgesmith-boundary'
    const body = Readable.from(
      (async function* () {
        yield Buffer.from(
          `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: application/octet-stream\r\n\r\n`,
        )
        yield* interrupted(meanwhile) as AsyncIterable<Buffer>
        yield Buffer.from(`\r\n--${boundary}--\r\n`)
      })(),
      { objectMode: false },
    )
    return globalThis.fetch(`${gateway.url}/v1/uploads`, {
      method: 'POST',
      headers: { ...asOperator, 'content-type': `multipart/form-data; boundary=${boundary}` },
      body: Readable.toWeb(body) as ReadableStream,
      duplex: 'half',
    })
  }
})
