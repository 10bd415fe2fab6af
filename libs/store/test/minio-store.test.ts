import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { Client } from 'minio'
import { startMinio } from '../../../deploy/minio/server.ts'
import type { MinioServer } from '../../../deploy/minio/server.ts'
import { openMinioStore } from '../src/minio-store.ts'
import { StoreUnavailable } from '../src/retry.ts'
import { bytesOf, bytesStream, MiB, sha256Of } from './byte-streams.ts'
import { testObjectStore } from './object-store.suite.ts'

testObjectStore('MinIO store', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'edgesmith-minio-'))
  const server = await startMinio({ dataDir })
  return {
    store: await openMinioStore({ ...server, bucket: 'edgesmith' }),
    countUnfinished: (key) => countIncompleteUploads(server, key),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await rm(dataDir, { recursive: true })
    },
  }
})

describe('MinIO store, over the wire', () => {
  let dataDir: string
  let server: MinioServer

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'edgesmith-minio-'))
    server = await startMinio({ dataDir })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await rm(dataDir, { recursive: true })
  })

  it('opens a bucket that several make at the same time', async () => {
    const stores = await Promise.all(
      Array.from({ length: 5 }, () => openMinioStore({ ...server, bucket: 'made-at-once' })),
    )
    await Promise.all(stores.map((store) => store.check()))
  })

  it('keeps objects across a restart of the server, with new credentials too', async () => {
    const store = await openMinioStore({ ...server, bucket: 'edgesmith' })
    await store.put('kept', bytesStream(9 * MiB))
    await server[Symbol.asyncDispose]()
    await assert.rejects(store.check())
    server = await startMinio({ dataDir })
    const reopened = await openMinioStore({ ...server, bucket: 'edgesmith' })
    assert.equal(await sha256Of(await reopened.get('kept')), await sha256Of(bytesStream(9 * MiB)))
  })

  it('stores the media type', async () => {
    const store = await openMinioStore({ ...server, bucket: 'edgesmith' })
    for (const size of [5, 9 * MiB]) {
      await store.put('typed', bytesStream(size), { contentType: 'application/json' })
      const { metaData } = await rawClient(server).statObject('edgesmith', 'typed')
      assert.equal(new Map(Object.entries(metaData)).get('content-type'), 'application/json')
    }
  })

  it('is not ready when its bucket is gone', async () => {
    const store = await openMinioStore({ ...server, bucket: 'short-lived' })
    await rawClient(server).removeBucket('short-lived')
    await assert.rejects(store.check(), /no bucket short-lived/)
  })

  it('refuses wrong credentials and what is no endpoint', async () => {
    const settings = { ...server, bucket: 'edgesmith' }
    await assert.rejects(openMinioStore({ ...settings, secretKey: 'wrong-secret' }))
    await assert.rejects(openMinioStore({ ...settings, endpoint: 'ftp://127.0.0.1' }), RangeError)
    await assert.rejects(openMinioStore({ ...settings, endpoint: `${server.endpoint}/path` }), RangeError)
  })

  for (const fault of ['busy', 'reset'] as const) {
    it(`repeats requests that fail for a moment (${fault})`, async () => {
      await using faulty = await startFaultyProxy(server)
      const store = await openMinioStore({ ...server, endpoint: faulty.endpoint, bucket: 'edgesmith' })
      faulty.fail(2, fault)
      await store.put('a', Buffer.from('x'))
      faulty.fail(2, fault)
      assert.equal((await buffer(await store.get('a'))).toString(), 'x')
      faulty.fail(2, fault, /partNumber=2/)
      await store.put('large', bytesStream(20 * MiB))
      assert.deepEqual(await buffer(await store.get('large')), bytesOf(20 * MiB))
      faulty.fail(2, fault)
      await store.remove('a')
      faulty.fail(2, fault)
      assert.equal(await store.stat('a'), undefined)
      assert.equal(faulty.failuresLeft(), 0)
    })

    it(`gives up on a part that keeps failing, and leaves nothing (${fault})`, async () => {
      await using faulty = await startFaultyProxy(server)
      const settings = { ...server, endpoint: faulty.endpoint, bucket: 'edgesmith', patienceMs: 1000 }
      const store = await openMinioStore(settings)
      faulty.fail(1000, fault, /partNumber=2/)
      const source = bytesStream(60 * MiB)
      await assert.rejects(store.put('never', source), StoreUnavailable)
      assert.ok(source.destroyed)
      assert.equal(await store.stat('never'), undefined)
      assert.equal(await countIncompleteUploads(server, 'never'), 0)
    })
  }
})

function rawClient(server: MinioServer): Client {
  const { hostname, port } = new URL(server.endpoint)
  return new Client({ ...server, endPoint: hostname, port: Number(port), useSSL: false })
}

async function countIncompleteUploads(server: MinioServer, key: string): Promise<number> {
  const uploads = await rawClient(server).listIncompleteUploadsQuery('edgesmith', key, '', '', '')
  return uploads.uploads.length
}

type Fault = 'busy' | 'reset'

/** A proxy in front of a server that lets the next requests fail. */
async function startFaultyProxy(server: MinioServer) {
  let left = 0
  let kind: Fault = 'busy'
  let affected = /./
  const proxy = http.createServer((request, response) => {
    if (left > 0 && affected.test(request.url ?? '')) {
      left -= 1
      if (kind === 'reset') request.socket.destroy()
      else
        request.resume().on('end', () => response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>'))
      return
    }
    const forwarded = http.request(
      new URL(request.url ?? '/', server.endpoint),
      { method: request.method, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    request.pipe(forwarded)
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  const { port } = proxy.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    fail(times: number, fault: Fault, url = /./) {
      left = times
      kind = fault
      affected = url
    },
    failuresLeft: () => left,
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections()
      await new Promise((resolve) => proxy.close(resolve))
    },
  }
}
