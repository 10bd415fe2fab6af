import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import type { Artifact, DownloadUrl } from '@edgesmith/contract/artifact'
import type { Problem } from '@edgesmith/contract/problem'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { fetch } from '../../../test/support/as-gateway.ts'
import { ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startArtifact } from '../src/service.ts'

const bytes = randomBytes(300_000)
const sha256 = createHash('sha256').update(bytes).digest()
const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'

describe('artifacts and their signed URLs', () => {
  let service: CalledService
  let artifact: Artifact
  let other: Artifact
  let directory: string
  const config = {
    logLevel: 'silent',
    host: '127.0.0.1',
    port: 0,
    internal: { host: '127.0.0.1', port: 0 },
    serviceTlsDirectory: tlsDirectoryOf('artifact'),
    publicUrl: undefined,
    trustedProxies: [],
    signingKeys: ['new'.repeat(16), 'old'.repeat(16)],
  }

  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-artifact-'))
    const store = ownStore(await openDirectoryStore(directory))
    artifact = await publishArtifact(store, { buildId, name: 'site.iso', source: Readable.from([bytes]) })
    other = await publishArtifact(store, {
      buildId,
      name: 'site.iso',
      source: Readable.from([bytes.subarray(1)]),
    })
    service = await startArtifact({ ...config, objectStore: { kind: 'directory', directory } })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  function askForUrl(id: string, body: object): Promise<Response> {
    return fetch(`${service.internalUrl}/v1/artifacts/${id}/download-url`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  }

  async function signed(ttlSeconds = 60): Promise<URL> {
    const response = await askForUrl(artifact.id, { ttlSeconds })
    assert.equal(response.status, 201)
    const { url, expiresAt } = (await response.json()) as DownloadUrl
    const seconds = (Date.parse(expiresAt) - Date.now()) / 1000
    assert.ok(seconds > ttlSeconds - 5 && seconds <= ttlSeconds, expiresAt)
    return new URL(url)
  }

  it('tells about an artifact', async () => {
    const response = await fetch(`${service.internalUrl}/v1/artifacts/${artifact.id}`)
    assert.deepEqual(await response.json(), artifact)
    assert.equal(artifact.sha256, sha256.toString('hex'))
  })

  it('serves the whole file with its digest, and the same headers to HEAD', async () => {
    const url = await signed()
    const response = await fetch(url)
    assert.equal(response.status, 200)
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes)
    const expected = {
      'content-length': '300000',
      'content-type': 'application/x-iso9660-image',
      'content-disposition': 'attachment; filename="site.iso"',
      'accept-ranges': 'bytes',
      etag: `"${sha256.toString('hex')}"`,
      'repr-digest': `sha-256=:${sha256.toString('base64')}:`,
    }
    const head = await fetch(url, { method: 'HEAD' })
    assert.equal(head.status, 200)
    assert.equal((await head.arrayBuffer()).byteLength, 0)
    for (const [name, value] of Object.entries(expected)) {
      assert.equal(response.headers.get(name), value)
      assert.equal(head.headers.get(name), value)
    }
  })

  it('serves ranges, and two halves make the whole', async () => {
    const url = await signed()
    const part = async (range: string, headers = {}) => fetch(url, { headers: { range, ...headers } })
    for (const [range, from, to] of [
      ['bytes=0-0', 0, 0],
      ['bytes=100-299', 100, 299],
      ['bytes=299990-', 299_990, 299_999],
      ['bytes=-10', 299_990, 299_999],
      ['bytes=299000-400000', 299_000, 299_999],
    ] as const) {
      const response = await part(range)
      assert.equal(response.status, 206, range)
      assert.equal(response.headers.get('content-range'), `bytes ${from}-${to}/300000`)
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes.subarray(from, to + 1), range)
    }
    const [left, right] = await Promise.all([part('bytes=0-149999'), part('bytes=150000-')])
    assert.deepEqual(
      Buffer.concat([Buffer.from(await left.arrayBuffer()), Buffer.from(await right.arrayBuffer())]),
      bytes,
    )

    const outside = await part('bytes=300000-')
    assert.equal(outside.status, 416)
    assert.equal(outside.headers.get('content-range'), 'bytes */300000')
    assert.equal(((await outside.json()) as Problem).type, 'urn:edgesmith:problem:range-not-satisfiable')
    assert.equal((await part('lines=1-2')).status, 200)
    assert.equal((await part('bytes=0-9', { 'if-range': `"${artifact.sha256}"` })).status, 206)
    assert.equal((await part('bytes=0-9', { 'if-range': '"another"' })).status, 200)
    assert.equal(
      (await fetch(url, { headers: { 'if-none-match': `"x", "${artifact.sha256}"` } })).status,
      304,
    )
  })

  it('refuses whatever was altered, and sends nothing of the file', async () => {
    const url = await signed()
    const alter = (change: (altered: URL) => void) => {
      const altered = new URL(url)
      change(altered)
      return altered
    }
    const expires = Number(url.searchParams.get('expires'))
    const signature = url.searchParams.get('signature') ?? ''
    const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)
    for (const altered of [
      alter((copy) => {
        copy.searchParams.set('expires', String(expires + 1))
      }),
      alter((copy) => {
        copy.searchParams.set('signature', flipped)
      }),
      alter((copy) => {
        copy.pathname = copy.pathname.replace(artifact.id, other.id)
      }),
      alter((copy) => {
        copy.pathname = copy.pathname.replace('site.iso', 'site.img')
      }),
    ]) {
      for (const method of ['GET', 'HEAD']) {
        const response = await fetch(altered, { method })
        assert.equal(response.status, 403, altered.href)
        assert.equal(response.headers.get('repr-digest'), null)
        if (method === 'GET')
          assert.equal(((await response.json()) as Problem).type, 'urn:edgesmith:problem:invalid-signature')
      }
    }
  })

  it('refuses an expired URL', async () => {
    const url = await signed(1)
    let response = await fetch(url, { method: 'HEAD' })
    while (response.ok) response = await fetch(url, { method: 'HEAD' })
    assert.equal(response.status, 403)
    const problem = (await (await fetch(url)).json()) as Problem
    assert.equal(problem.type, 'urn:edgesmith:problem:expired-signature')
  })

  it('accepts URLs of an older key while it is configured, and no longer', async () => {
    const url = await signed()
    const objectStore = { kind: 'directory', directory } as const
    for (const [signingKeys, status] of [
      [['newer'.repeat(8), ...config.signingKeys], 200],
      [['newer'.repeat(8)], 403],
    ] as const) {
      await using rotated = await startArtifact({ ...config, signingKeys, objectStore })
      const response = await fetch(`${rotated.url}${url.pathname}${url.search}`, { method: 'HEAD' })
      assert.equal(response.status, status)
    }
  })

  it('refuses bad requests for a URL', async () => {
    for (const body of [{ ttlSeconds: 0 }, { ttlSeconds: 604_801 }, { ttlSeconds: 60, ttl: 1 }])
      assert.equal((await askForUrl(artifact.id, body)).status, 422)
    assert.equal((await askForUrl(buildId, { ttlSeconds: 60 })).status, 404)
  })
})
