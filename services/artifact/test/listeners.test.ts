import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import type { Artifact, DownloadUrl } from '@edgesmith/contract/artifact'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { Agent, request } from 'undici'
import { asGateway, fetch } from '../../../test/support/as-gateway.ts'
import { ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startArtifact } from '../src/service.ts'

const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'

describe('The addresses of the artifact service', () => {
  let service: CalledService
  let artifact: Artifact
  let directory: string
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-artifact-'))
    const store = ownStore(await openDirectoryStore(directory))
    artifact = await publishArtifact(store, { buildId, name: 'a.bin', source: Readable.from(['bytes']) })
    service = await startArtifact({
      ...{ logLevel: 'silent', host: '127.0.0.1', port: 0, publicUrl: undefined, trustedProxies: [] },
      internal: { host: '127.0.0.1', port: 0 },
      serviceTlsDirectory: tlsDirectoryOf('artifact'),
      signingKeys: ['k'.repeat(32)],
      objectStore: { kind: 'directory', directory },
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  /** What the gateway passes on, and everybody could send. */
  const forged = () =>
    [
      [`/v1/artifacts/${artifact.id}`, {}],
      [`/v1/artifacts/${artifact.id}/download-url`, { method: 'POST', body: '{}' }],
      ['/internal/download-urls', { method: 'POST', body: '{}' }],
      ['/v1/provenance-keys', {}],
    ] as const

  it('answer signed URLs at both, made at the one for the gateway alone', async () => {
    const made = await fetch(`${service.internalUrl}/v1/artifacts/${artifact.id}/download-url`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    const { url } = (await made.json()) as DownloadUrl
    assert.equal(new URL(url).origin, service.url)
    assert.equal(await (await globalThis.fetch(url)).text(), 'bytes')
    assert.equal(await (await fetch(url.replace(service.url, service.internalUrl))).text(), 'bytes')
    const claimed = await globalThis.fetch(url, { headers: asGateway })
    assert.equal(claimed.status, 401)
    await claimed.body?.cancel()
  })

  it('refuse everybody who says for whom a request is, as the gateway does', async () => {
    for (const [route, init] of forged()) {
      const headers = { ...asGateway, 'content-type': 'application/json' }
      const refused = await globalThis.fetch(`${service.url}${route}`, { ...init, headers })
      assert.equal(refused.status, 401, route)
      assert.match(await refused.text(), /Only the gateway says who makes a request/)
      const unclaimed = await globalThis.fetch(`${service.url}${route}`, init)
      assert.equal(unclaimed.status, 404, route)
      await unclaimed.body?.cancel()
    }
  })

  it('refuse everybody at the one for the gateway', async () => {
    const stranger = new Agent({ connect: { rejectUnauthorized: false } })
    const plain = service.internalUrl.replace('https:', 'http:')
    try {
      for (const [route, init] of forged()) {
        for (const origin of [service.internalUrl, plain]) {
          const asked = request(`${origin}${route}`, { ...init, headers: asGateway, dispatcher: stranger })
          await assert.rejects(asked, { code: /^(UND_ERR_SOCKET|ECONNRESET|EPIPE)$/ })
        }
      }
    } finally {
      await stranger.close()
    }
  })

  it('have health for whoever watches the service', async () => {
    assert.equal((await globalThis.fetch(`${service.url}/healthz`)).status, 200)
    assert.equal((await globalThis.fetch(`${service.url}/readyz`)).status, 200)
  })
})
