import assert from 'node:assert/strict'
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { Client } from 'minio'
import { startMinio, type MinioServer } from '../../../deploy/minio/server.ts'
import { openMinioStore } from '../src/minio-store.ts'
import { DamagedObject, type ObjectStore } from '../src/object-store.ts'
import { StoreUnavailable } from '../src/retry.ts'
import { bytesOf, bytesStream, MiB } from './byte-streams.ts'

const bucket = 'edgesmith'

describe('MinIO store, while the server is away', () => {
  let dataDir: string
  let server: MinioServer
  let store: ObjectStore

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'edgesmith-minio-'))
    server = await startMinio({ dataDir })
    store = await openMinioStore({ ...server, bucket })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await rm(dataDir, { recursive: true })
  })

  /** Ends the server, and starts it again where and as it was. */
  async function killServer(): Promise<() => Promise<void>> {
    const { accessKey, secretKey, endpoint } = server
    server.kill()
    await server[Symbol.asyncDispose]()
    return async () => {
      server = await startMinio({ dataDir, port: Number(new URL(endpoint).port), accessKey, secretKey })
    }
  }

  for (const how of ['killed', 'stopped'] as const) {
    const takeAway = async (): Promise<() => Promise<void>> => {
      if (how === 'killed') return killServer()
      await server.freeze()
      return () => {
        server.thaw()
        return Promise.resolve()
      }
    }

    it(`goes on with a stream, reading no more of it meanwhile (${how})`, async () => {
      let read = 0
      const source = bytesStream(60 * MiB)
      source.on('data', (chunk: Buffer) => (read += chunk.length))
      source.pause()
      const putting = store.put(`stream-${how}`, source)
      while (read < 20 * MiB) await new Promise(setImmediate)
      const bringBack = await takeAway()
      await assert.rejects(store.stat('a'), StoreUnavailable)
      // Three parts, of which two are being sent, and what streams buffer.
      assert.ok(read < 50 * MiB, `${read} bytes were read`)
      await bringBack()
      assert.deepEqual(await putting, { size: 60 * MiB })
      assert.ok((await buffer(await store.get(`stream-${how}`))).equals(bytesOf(60 * MiB)))
      assert.equal(await countIncomplete(), 0)
    })

    it(`goes on with parts, joins and what else can wait (${how})`, async () => {
      const patient = store.patient()
      const target = await store.beginParts(`parts-${how}`)
      await store.put('piece', bytesStream(20 * MiB))
      const bringBack = await takeAway()
      const pieces = [{ object: 'piece', offset: 3, length: 19 * MiB }]
      const working = Promise.all([
        store.putPart(target, 1, bytesOf(MiB)),
        store.join(`joined-${how}`, pieces),
        patient.putIfAbsent(`absent-${how}`, Buffer.from('x')),
        patient.put(`small-${how}`, Buffer.from('y')),
      ])
      await assert.rejects(store.check(), StoreUnavailable)
      await bringBack()
      const [, , isFirst] = await working
      assert.equal(isFirst, true)
      await store.completeParts(target, { count: 1, size: MiB })
      assert.ok(
        (await buffer(await store.get(`joined-${how}`))).equals(bytesOf(20 * MiB).subarray(3, 19 * MiB + 3)),
      )
      assert.equal((await store.stat(`small-${how}`))?.size, 1)
      assert.equal(await countIncomplete(), 0)
    })

    it(`goes on reading where it was (${how})`, async () => {
      await store.put('read', bytesStream(40 * MiB))
      const stream = await store.get('read')
      await using range = await store.openRange('read', { offset: 5, length: 30 * MiB })
      const beginning = Buffer.alloc(MiB)
      await range.read(beginning)
      const bringBack = await takeAway()
      const rest = Buffer.alloc(29 * MiB)
      const reading = Promise.all([buffer(stream), range.read(rest)])
      await assert.rejects(store.check(), StoreUnavailable)
      await bringBack()
      const [whole] = await reading
      assert.ok(whole.equals(bytesOf(40 * MiB)))
      assert.ok(Buffer.concat([beginning, rest]).equals(bytesOf(40 * MiB).subarray(5, 30 * MiB + 5)))
    })
  }

  it('never joins the bytes of two versions of an object', async () => {
    await store.put('versions', bytesStream(40 * MiB))
    const stream = await store.get('versions')
    await using range = await store.openRange('versions', { offset: 0, length: 40 * MiB })
    await range.read(Buffer.alloc(MiB))
    const bringBack = await killServer()
    await bringBack()
    await store.put('versions', bytesOf(41 * MiB).subarray(MiB))
    await assert.rejects(buffer(stream), /was replaced while it was read/)
    await assert.rejects(range.read(Buffer.alloc(39 * MiB)), /was replaced while it was read/)
  })

  it('gives up when patience ends, or who waits is stopped', async () => {
    const hasty = await openMinioStore({ ...server, bucket, patienceMs: 1500 })
    const bringBack = await killServer()
    await assert.rejects(hasty.put('given-up', bytesStream(20 * MiB)), StoreUnavailable)
    await assert.rejects(hasty.patient().get('read'), StoreUnavailable)
    const stopping = new AbortController()
    const waiting = assert.rejects(store.patient(stopping.signal).stat('read'), StoreUnavailable)
    stopping.abort()
    await waiting
    const canceled = new AbortController()
    const source = bytesStream(20 * MiB)
    const putting = assert.rejects(store.put('canceled', source, { signal: canceled.signal }), /canceled/)
    canceled.abort(new Error('canceled'))
    await bringBack()
    await putting
    assert.equal(await countIncomplete(), 0)
  })

  it('opens once the server is there', async () => {
    const bringBack = await killServer()
    const opening = openMinioStore({ ...server, bucket: 'opened-late' })
    await assert.rejects(openMinioStore({ ...server, bucket, patienceMs: 200 }), StoreUnavailable)
    await bringBack()
    await (await opening).check()
  })

  for (const size of [1000, 300_000, 20 * MiB]) {
    it(`never gives out bytes that changed on the server's disk (${size} bytes)`, async () => {
      const key = `damaged-${size}`
      const bytes = bytesOf(size)
      await store.put(key, bytes)
      await flipBit(join(dataDir, 'objects', bucket, key))
      const at = Math.floor(size * 0.6)
      for (const open of [() => store.get(key), async () => store.get(key, { offset: 10 })]) {
        let read = 0
        await assert.rejects(
          async () => {
            for await (const chunk of (await open()) as AsyncIterable<Buffer>) read += chunk.length
          },
          (error: unknown) => error instanceof DamagedObject && error.key === key,
        )
        assert.ok(read <= at)
      }
      await using range = await store.openRange(key, { offset: 0, length: size })
      await assert.rejects(range.read(Buffer.alloc(size)), DamagedObject)
      const pieces = [{ object: key, offset: 0, length: size }]
      await assert.rejects(store.join(`${key}-copy`, pieces), DamagedObject)
      assert.equal(await store.stat(`${key}-copy`), undefined)
      assert.equal(await countIncomplete(), 0)
    })
  }

  it('tells that what the server keeps of an object besides is damaged', async () => {
    await store.put('described', bytesOf(150))
    await flipBit(join(dataDir, 'objects', bucket, 'described'), 0.4)
    await assert.rejects(store.get('described'), DamagedObject)
    await assert.rejects(store.stat('described'), DamagedObject)
    // The server is there.
    await store.check()
  })

  async function countIncomplete(): Promise<number> {
    const { hostname, port } = new URL(server.endpoint)
    const client = new Client({ ...server, endPoint: hostname, port: Number(port), useSSL: false })
    return (await client.listIncompleteUploadsQuery(bucket, '', '', '', '')).uploads.length
  }
})

/** Changes one bit of what the server has of an object, behind its middle. */
async function flipBit(directory: string, place = 0.6): Promise<void> {
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  )
  const parts = files
    .filter(({ name }) => name.startsWith('part.'))
    .sort((a, b) => a.name.localeCompare(b.name))
  // MinIO keeps small objects in the file of their metadata, and the others in a file for each part.
  const target = parts[Math.floor(parts.length / 2)] ?? files[0]
  assert.ok(target)
  await using file = await open(join(target.parentPath, target.name), 'r+')
  const at = Math.floor((await file.stat()).size * place)
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte.writeUInt8(byte.readUInt8() ^ 1)
  await file.write(byte, 0, 1, at)
}
