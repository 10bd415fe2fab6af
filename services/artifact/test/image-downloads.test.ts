import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { request as sendRequest, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { checksumLine, recordChecksum, recordImage, recordKey } from '@edgesmith/artifacts/artifacts'
import type { Artifact, DownloadUrl } from '@edgesmith/contract/artifact'
import type { Problem } from '@edgesmith/contract/problem'
import { objectManifest, patchManifest } from '@edgesmith/manifest/manifest'
import type { CalledService } from '@edgesmith/service/lifecycle'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { projectPrefix } from '@edgesmith/store/project-stores'
import { openStore, type ObjectStoreConfig } from '@edgesmith/store/open-store'
import { startMinio } from '../../../deploy/minio/server.ts'
import { fetch } from '../../../test/support/as-gateway.ts'
import { ownProject, ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import type { ArtifactConfig } from '../src/config.ts'
import { startArtifact } from '../src/service.ts'

const execute = promisify(execFile)
const MiB = 1024 ** 2
const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'
const base = randomBytes(40 * MiB)
const patch = randomBytes(60_000)

/** What the service reads of its store: readers that are open, and bytes that they read. */
type Reads = { open: number; bytes: number }

function counting(store: ObjectStore): { store: ObjectStore; reads: Reads } {
  const reads = { open: 0, bytes: 0 }
  const counted = withOpenRange(store, async (key, range) => {
    const reader = await store.openRange(key, range)
    let isOpen = true
    reads.open += 1
    return {
      read: async (into) => {
        const read = await reader.read(into)
        reads.bytes += read
        return read
      },
      [Symbol.asyncDispose]: async () => {
        if (isOpen) reads.open -= 1
        isOpen = false
        await reader[Symbol.asyncDispose]()
      },
    }
  })
  return { store: counted, reads }
}

/** The store, opened ranges of which go through something else. */
function withOpenRange(store: ObjectStore, openRange: ObjectStore['openRange']): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = name === 'openRange' ? openRange : Reflect.get(target, name)
      return typeof own === 'function' ? (own.bind(target) as unknown) : own
    },
  })
}

type Part = { range: string; type: string; bytes: Buffer }

/** The parts of a `multipart/byteranges` body, whose Content-Range tells their length. */
function partsOf(contentType: string, body: Buffer): Part[] {
  const boundary = /^multipart\/byteranges; boundary=([\w-]+)$/.exec(contentType)?.[1]
  assert.ok(boundary, contentType)
  const parts: Part[] = []
  let position = 0
  for (;;) {
    const delimiter: string = `${parts.length === 0 ? '' : '\r\n'}--${boundary}`
    assert.equal(body.toString('latin1', position, position + delimiter.length), delimiter)
    position += delimiter.length
    if (body.toString('latin1', position, position + 4) === '--\r\n') break
    const end = body.indexOf('\r\n\r\n', position)
    const head = body.toString('latin1', position + 2, end)
    const [, range = '', first, last] = /^Content-Range: (bytes (\d+)-(\d+)\/\d+)$/m.exec(head) ?? []
    const length = Number(last) - Number(first) + 1
    position = end + 4
    const type = /^Content-Type: (.+)$/m.exec(head)?.[1] ?? ''
    parts.push({ range, type, bytes: body.subarray(position, position + length) })
    position += length
  }
  assert.equal(position + 4, body.length)
  return parts
}

function testDownloads(
  name: string,
  open: () => Promise<AsyncDisposable & { objectStore: ObjectStoreConfig }>,
) {
  describe(`downloads of an image from ${name}`, () => {
    let opened: AsyncDisposable & { objectStore: ObjectStoreConfig }
    let whole: ObjectStore
    let store: ObjectStore
    let service: CalledService
    let directory: string
    let variant: { artifact: Artifact; bytes: Buffer }
    let variantUrl: URL
    let reads: Reads
    let config: ArtifactConfig

    before(async () => {
      opened = await open()
      directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-downloads-'))
      const { objectStore } = opened
      whole = await openStore(objectStore)
      store = ownStore(whole)
      await store.put('bases/base/data', base)
      config = {
        logLevel: 'silent',
        host: '127.0.0.1',
        port: 0,
        internal: { host: '127.0.0.1', port: 0 },
        serviceTlsDirectory: tlsDirectoryOf('artifact'),
        publicUrl: undefined,
        trustedProxies: [],
        signingKeys: ['new'.repeat(16)],
        objectStore,
      }
      const counted = counting(whole)
      reads = counted.reads
      service = await startArtifact(config, { store: counted.store })
      variant = await makeVariant(patch)
      variantUrl = await signed(variant.artifact)
    })
    after(async () => {
      await service[Symbol.asyncDispose]()
      await opened[Symbol.asyncDispose]()
      await rm(directory, { recursive: true })
    })

    async function makeVariant(userData: Buffer): Promise<{ artifact: Artifact; bytes: Buffer }> {
      const object = `stamps/${createHash('sha256').update(userData).digest('hex')}`
      await store.put(object, userData)
      const bytes = Buffer.from(base)
      const patches = [
        ...[4096, 20_000, 20_100, 90_000].map((offset) => ({
          offset,
          extent: { object, offset: 0, length: 8 },
        })),
        { offset: 20 * MiB, extent: { object, offset: 0, length: userData.length } },
        { offset: 20 * MiB + userData.length, extent: { length: 200_000, zeros: true as const } },
      ]
      for (const { offset, extent } of patches) {
        if ('zeros' in extent) bytes.fill(0, offset, offset + extent.length)
        else userData.copy(bytes, offset, 0, extent.length)
      }
      const manifest = patchManifest(objectManifest('bases/base/data', base.length), patches)
      return { artifact: await recordImage(store, { buildId, name: 'site.iso', manifest }), bytes }
    }

    async function signed({ id }: Artifact, at = service.internalUrl, body: object = {}): Promise<URL> {
      const response = await fetch(`${at}/v1/artifacts/${id}/download-url`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      assert.equal(response.status, 201)
      return new URL(((await response.json()) as DownloadUrl).url)
    }

    async function download(url: URL, headers: Record<string, string> = {}) {
      const response = await fetch(url, { headers, redirect: 'manual' })
      const bytes = Buffer.from(await response.arrayBuffer())
      if (response.status < 300) assert.equal(response.headers.get('content-length'), String(bytes.length))
      return { status: response.status, headers: response.headers, bytes }
    }

    it('answers the whole image, and HEAD the same without its bytes', async () => {
      const whole = await download(variantUrl)
      assert.equal(whole.status, 200)
      assert.ok(whole.bytes.equals(variant.bytes))
      const head = await fetch(variantUrl, { method: 'HEAD', headers: { range: 'bytes=0-9' } })
      assert.equal(head.status, 200)
      for (const field of ['content-length', 'etag', 'content-type', 'accept-ranges', 'last-modified']) {
        assert.ok(head.headers.get(field), field)
        assert.equal(head.headers.get(field), whole.headers.get(field), field)
      }
      assert.equal(head.headers.get('etag'), `"${variant.artifact.etag}"`)
    })

    it('answers 1,000 random ranges as they are in the whole image', async () => {
      const { bytes } = variant
      const check = async () => {
        // Half of them near the places where extents meet.
        const near = [0, 4096, 20_050, 90_000, 20 * MiB, 20 * MiB + patch.length, bytes.length - 5000]
        const start =
          randomInt(2) === 0
            ? randomInt(bytes.length)
            : Math.max(0, (near[randomInt(7)] ?? 0) - randomInt(5000))
        const end = Math.min(bytes.length, start + randomInt(1, randomInt(20) === 0 ? 3 * MiB : 10_000))
        const answer = await download(variantUrl, { range: `bytes=${start}-${end - 1}` })
        assert.equal(answer.status, 206)
        assert.equal(answer.headers.get('content-range'), `bytes ${start}-${end - 1}/${bytes.length}`)
        assert.ok(answer.bytes.equals(bytes.subarray(start, end)), `${start}-${end}`)
      }
      let left = 1000
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          while (left-- > 0) await check()
        }),
      )
    })

    it('answers halves that make the whole', async () => {
      const { bytes } = variant
      const half = bytes.length / 2
      const [first, second] = await Promise.all([
        download(variantUrl, { range: `bytes=0-${half - 1}` }),
        download(variantUrl, { range: `bytes=-${half}` }),
      ])
      assert.ok(Buffer.concat([first.bytes, second.bytes]).equals(bytes))
      const all = await download(variantUrl, { range: `bytes=-${bytes.length + 1}` })
      assert.ok(all.status === 206 && all.bytes.equals(bytes))
    })

    it('answers several ranges in one body, those that overlap as one', async () => {
      const { bytes, artifact } = variant
      const size = bytes.length
      const answer = await download(variantUrl, {
        range: `bytes=${20 * MiB - 10}-${20 * MiB + 99}, 0-9,,-20 , 5-19,${size}-,20-29`,
      })
      assert.equal(answer.status, 206)
      assert.equal(answer.headers.get('content-range'), null)
      const parts = partsOf(answer.headers.get('content-type') ?? '', answer.bytes)
      const expected = [
        [20 * MiB - 10, 20 * MiB + 99],
        [0, 29],
        [size - 20, size - 1],
      ] as const
      assert.deepEqual(
        parts.map(({ range, type }) => ({ range, type })),
        expected.map(([first, last]) => ({
          range: `bytes ${first}-${last}/${size}`,
          type: artifact.mediaType,
        })),
      )
      for (const [index, [first, last]] of expected.entries()) {
        assert.deepEqual(parts[index]?.bytes, bytes.subarray(first, last + 1))
      }
      assert.equal(
        (await download(variantUrl, { range: 'bytes=0-4,5-9' })).headers.get('content-range'),
        `bytes 0-9/${size}`,
      )
    })

    it('refuses ranges that no client has a use for, and sends the whole where there is no range', async () => {
      const size = variant.bytes.length
      const many = Array.from({ length: 129 }, (_, index) => `${index * 10}-${index * 10}`).join()
      for (const range of [`bytes=${size}-`, 'bytes=-0', 'bytes=0-,0-,0-,0-', `bytes=${many}`]) {
        const answer = await download(variantUrl, { range })
        assert.equal(answer.status, 416, range)
        assert.equal(answer.headers.get('content-range'), `bytes */${size}`)
        const { type } = JSON.parse(answer.bytes.toString()) as Problem
        assert.equal(type, 'urn:edgesmith:problem:range-not-satisfiable')
      }
      for (const range of ['bytes=9-5', 'bytes=a-b', 'bytes=', 'bytes=1', 'lines=1-2', 'bytes=0-1;2-3']) {
        const answer = await fetch(variantUrl, { headers: { range } })
        assert.equal(answer.status, 200, range)
        await answer.body?.cancel()
      }
    })

    it('heeds preconditions', async () => {
      const etag = `"${variant.artifact.etag}"`
      const modified = new Date(variant.artifact.createdAt)
      const at = (seconds: number) => new Date(modified.getTime() + seconds * 1000).toUTCString()
      for (const [headers, status] of [
        [{ 'if-range': etag }, 206],
        [{ 'if-range': at(0) }, 206],
        [{ 'if-range': '"another"' }, 200],
        [{ 'if-range': `W/${etag}` }, 200],
        [{ 'if-range': at(1) }, 200],
        [{ 'if-range': at(-1) }, 200],
        [{ 'if-none-match': `"x", W/${etag}` }, 304],
        [{ 'if-none-match': '*' }, 304],
        [{ 'if-none-match': '"x"', 'if-modified-since': at(60) }, 206],
        [{ 'if-modified-since': at(0) }, 304],
        [{ 'if-modified-since': at(-1) }, 206],
        [{ 'if-match': `"x", ${etag}` }, 206],
        [{ 'if-match': `W/${etag}` }, 412],
        [{ 'if-match': '"x"' }, 412],
        [{ 'if-unmodified-since': at(-1) }, 412],
        [{ 'if-unmodified-since': at(0) }, 206],
      ] as const) {
        const answer = await fetch(variantUrl, { headers: { range: 'bytes=0-9', ...headers } })
        await answer.body?.cancel()
        assert.equal(answer.status, status, JSON.stringify(headers))
      }
    })

    it('lets curl go on with a download that broke off', async () => {
      const file = path.join(directory, 'resumed.iso')
      const cut = spawn('curl', ['--silent', '--limit-rate', '4M', '--output', file, variantUrl.href])
      const hasSome = () =>
        stat(file).then(
          ({ size }) => size > MiB,
          () => false,
        )
      while (!(await hasSome())) assert.equal(cut.exitCode, null)
      cut.kill('SIGKILL')
      await once(cut, 'close')
      const { size } = await stat(file)
      assert.ok(size < variant.bytes.length)
      const { stdout } = await execute('curl', [
        ...['--silent', '--fail', '--continue-at', '-', '--output', file],
        ...['--write-out', '%{http_code} %{size_download}', variantUrl.href],
      ])
      assert.equal(stdout, `206 ${variant.bytes.length - size}`)
      assert.ok((await readFile(file)).equals(variant.bytes))
    })

    it('reads no further than its clients do, and stops when they go', async () => {
      while (reads.open > 0) await new Promise(setImmediate)
      const readBefore = reads.bytes
      const clients = await Promise.all(
        Array.from({ length: 16 }, async () => {
          const sent = sendRequest(variantUrl, { agent: false }).end()
          const [response] = (await once(sent, 'response')) as [IncomingMessage]
          response.on('error', () => undefined)
          return { sent, response }
        }),
      )
      // They read nothing, while others get all of it.
      for (let turn = 0; turn < 3; turn += 1) {
        assert.ok((await download(variantUrl)).bytes.equals(variant.bytes))
      }
      const readForWaiting = (reads.bytes - readBefore - 3 * variant.bytes.length) / clients.length
      assert.ok(readForWaiting < variant.bytes.length / 2, `${readForWaiting} bytes were read for each`)
      assert.ok(reads.open >= clients.length)
      for (const { sent } of clients) sent.destroy()
      while (reads.open > 0) await new Promise(setImmediate)
    })

    it('tells the digest once it is known, and computes it for who wants it; the ETag stays', async () => {
      const { artifact, bytes } = await makeVariant(randomBytes(1000))
      const url = await signed(artifact)
      const sha256 = createHash('sha256').update(bytes).digest()
      const reprDigest = async (headers = {}) => {
        const answer = await fetch(url, { method: 'HEAD', headers })
        assert.equal(answer.headers.get('etag'), `"${artifact.etag}"`)
        return answer.headers.get('repr-digest')
      }
      const get = async () => (await fetch(`${service.internalUrl}/v1/artifacts/${artifact.id}`)).json()
      assert.equal(await reprDigest(), null)
      assert.equal(await reprDigest({ 'want-repr-digest': 'sha-512=10, sha-256=0' }), null)
      assert.deepEqual(await get(), artifact)
      const expected = `sha-256=:${sha256.toString('base64')}:`
      assert.equal(await reprDigest({ 'want-repr-digest': 'sha-512=1, sha-256=5' }), expected)
      assert.equal(await reprDigest(), expected)
      assert.deepEqual(await get(), { ...artifact, sha256: sha256.toString('hex') })
      assert.equal((await download(url, { range: 'bytes=0-9' })).headers.get('repr-digest'), expected)
    })

    it('answers checksums that are computed on demand, and serves others meanwhile', async () => {
      const { artifact, bytes } = await makeVariant(randomBytes(1001))
      const checksum = await recordChecksum(store, artifact)
      const line = checksumLine(createHash('sha256').update(bytes).digest('hex'), 'site.iso')
      const url = await signed(checksum)
      const head = await fetch(url, { method: 'HEAD' })
      assert.equal(head.headers.get('content-length'), String(line.length))
      assert.equal(
        ((await (await fetch(`${service.internalUrl}/v1/artifacts/${artifact.id}`)).json()) as Artifact)
          .sha256,
        undefined,
      )
      const state = { isDone: false }
      const asked = download(url).finally(() => (state.isDone = true))
      let served = 0
      for (; !state.isDone; served += 1) assert.ok((await globalThis.fetch(`${service.url}/healthz`)).ok)
      assert.ok(served > 2, `${served} requests were served meanwhile`)
      const answer = await asked
      assert.equal(answer.bytes.toString(), line)
      assert.equal((await download(url, { range: 'bytes=64-65' })).bytes.toString(), '  ')
      const route = await fetch(`${service.internalUrl}/v1/artifacts/${artifact.id}/checksum`)
      assert.equal(route.headers.get('content-type'), 'text/plain; charset=utf-8')
      assert.equal(await route.text(), line)
      assert.equal((await fetch(`${service.internalUrl}/v1/artifacts/${buildId}/checksum`)).status, 404)
    })

    it('holds a lease from before it reads the record of an image until it has answered', async () => {
      const { artifact, bytes } = await makeVariant(randomBytes(3000))
      const keys = async () => Array.fromAsync(store.list(`leases/${artifact.id}/`), ({ key }) => key)
      const leasesAtRead: number[] = []
      const watched = new Proxy(whole, {
        get(target, name) {
          const own: unknown = Reflect.get(target, name)
          if (name !== 'get') return typeof own === 'function' ? (own.bind(target) as unknown) : own
          return async (...args: Parameters<ObjectStore['get']>) => {
            if (args[0] === `${projectPrefix(ownProject)}${recordKey(artifact.id)}`)
              leasesAtRead.push((await keys()).length)
            return whole.get(...args)
          }
        },
      })
      await using watching = await startArtifact(config, { store: watched })
      const url = await signed(artifact, watching.internalUrl)
      const steps = {
        download: async () => {
          assert.ok((await download(url)).bytes.equals(bytes))
        },
        verify: () => fetch(`${watching.internalUrl}/v1/artifacts/${artifact.id}/verify`, { method: 'POST' }),
        contents: () => fetch(`${watching.internalUrl}/v1/artifacts/${artifact.id}/contents`),
        materialize: () =>
          fetch(`${watching.internalUrl}/v1/artifacts/${artifact.id}/materialize`, { method: 'POST' }),
      }
      for (const [name, step] of Object.entries(steps)) {
        leasesAtRead.length = 0
        await step()
        assert.ok(leasesAtRead.length > 0, name)
        assert.deepEqual([...new Set(leasesAtRead)], [1], name)
        const deadline = Date.now() + 10_000
        while ((await keys()).length > 0) assert.ok(Date.now() < deadline, `${name} keeps its lease.`)
      }
    })

    it('makes one object of an image', async () => {
      const { artifact, bytes } = await makeVariant(randomBytes(1002))
      const materialize = async (id: string) =>
        fetch(`${service.internalUrl}/v1/artifacts/${id}/materialize`, { method: 'POST' })
      for (let turn = 0; turn < 2; turn += 1) {
        const answer = await materialize(artifact.id)
        assert.equal(answer.status, 200)
        assert.deepEqual(await answer.json(), artifact)
        assert.equal((await store.stat(`artifacts/${artifact.id}/image`))?.size, bytes.length)
      }
      const answer = await download(await signed(artifact))
      assert.equal(answer.headers.get('etag'), `"${artifact.etag}"`)
      assert.ok(answer.bytes.equals(bytes))
      assert.equal((await materialize(buildId)).status, 404)
    })

    if (name !== 'MinIO') return

    it('redirects to MinIO where that is set up and the image is one object', async () => {
      if (config.objectStore.kind !== 'minio') throw new Error('The store is not MinIO.')
      await using redirecting = await startArtifact({
        ...config,
        redirectEndpoint: config.objectStore.endpoint.replace('127.0.0.1', 'localhost'),
      })
      const at = redirecting.internalUrl
      const manifest = objectManifest('bases/base/data', base.length)
      const plain = await recordImage(store, { buildId, name: 'plain.iso', manifest })
      const url = await signed(plain, at)
      const answer = await download(url, { range: 'bytes=5-9' })
      assert.equal(answer.status, 307)
      assert.equal(answer.bytes.length, 0)
      const location = new URL(answer.headers.get('location') ?? '')
      assert.equal(location.hostname, 'localhost')
      const followed = await fetch(url, { headers: { range: 'bytes=5-9' } })
      assert.equal(followed.status, 206)
      assert.equal(followed.headers.get('content-disposition'), 'attachment; filename="plain.iso"')
      assert.equal(followed.headers.get('content-type'), 'application/x-iso9660-image')
      assert.deepEqual(Buffer.from(await followed.arrayBuffer()), base.subarray(5, 10))

      const range = 'bytes=0-9'
      assert.equal((await download(await signed(variant.artifact, at), { range })).status, 206)
      assert.equal((await download(await signed(plain, at, { maxDownloads: 1 }), { range })).status, 206)
      assert.equal((await download(url, { range, 'if-range': `"${plain.etag}"` })).status, 206)
      assert.equal((await download(url, { 'if-none-match': `"${plain.etag}"` })).status, 304)
    })

    it('keeps bytes of images on its disk, within bounds', async () => {
      const cache = { directory: path.join(directory, 'cache'), maximumBytes: 64 * MiB }
      const fetched: string[] = []
      const remembering = withOpenRange(whole, (key, range) => {
        if (range.length > MiB) fetched.push(`${key} ${range.offset}`)
        return whole.openRange(key, range)
      })
      for (let start = 0; start < 2; start += 1) {
        await using caching = await startArtifact({ ...config, cache }, { store: remembering })
        const url = await signed(variant.artifact, caching.internalUrl)
        for (const { bytes } of await Promise.all([download(url), download(url), download(url)])) {
          assert.ok(bytes.equals(variant.bytes))
        }
        // Each block of 16 MiB once, and still there for the next process.
        const blocks = [0, 16, 32].map((MiBs) => `${projectPrefix(ownProject)}bases/base/data ${MiBs * MiB}`)
        assert.deepEqual(fetched.toSorted(), blocks)
      }
      await using small = await startArtifact(
        { ...config, cache: { ...cache, maximumBytes: 20 * MiB } },
        { store: remembering },
      )
      const answer = await download(await signed(variant.artifact, small.internalUrl))
      assert.ok(answer.bytes.equals(variant.bytes))
      // Room is made once a block is kept, which may be after its bytes were sent.
      let kept = Infinity
      for (const deadline = Date.now() + 30_000; kept >= 21 * MiB;) {
        assert.ok(Date.now() < deadline, `${kept} bytes are kept.`)
        const { stdout } = await execute('du', ['--summarize', '--bytes', cache.directory])
        kept = Number.parseInt(stdout)
      }
    })
  })
}

testDownloads('a directory', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-downloads-'))
  return {
    objectStore: { kind: 'directory', directory },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
})

testDownloads('MinIO', async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'edgesmith-downloads-'))
  const { endpoint, accessKey, secretKey, ...server } = await startMinio({ dataDir })
  return {
    objectStore: { kind: 'minio', endpoint, accessKey, secretKey, bucket: 'edgesmith' },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await rm(dataDir, { recursive: true })
    },
  }
})
