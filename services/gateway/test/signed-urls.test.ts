import assert from 'node:assert/strict'
import http, { type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { Problem } from '@edgesmith/contract/problem'
import { fetch } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

const bytes = Buffer.alloc(100_000, 'installer')

describe('signed URLs by the gateway', () => {
  let harness: Harness
  let artifactId: string

  before(async () => {
    harness = await startHarness()
    const artifact = await publishArtifact(harness.store, {
      buildId: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
      name: 'site.iso',
      source: Readable.from([bytes]),
    })
    artifactId = artifact.id
  })
  after(() => harness[Symbol.asyncDispose]())

  /** A signed URL, led through the gateway. */
  async function create(body: object): Promise<DownloadUrl> {
    const response = await fetch(`${harness.url}/v1/artifacts/${artifactId}/download-url`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ttlSeconds: 60, ...body }),
    })
    assert.equal(response.status, 201)
    const created = (await response.json()) as DownloadUrl
    const { pathname, search } = new URL(created.url)
    return { ...created, url: `${harness.url}${pathname}${search}` }
  }

  async function refusal(url: string): Promise<string> {
    const response = await fetch(url)
    assert.equal(response.status, 403)
    return ((await response.json()) as Problem).type
  }

  it('are revoked by DELETE', async () => {
    const { id, url } = await create({})
    assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), bytes)
    const revoke = () =>
      fetch(`${harness.url}/v1/artifacts/${artifactId}/download-urls/${id}`, { method: 'DELETE' })
    assert.equal((await revoke()).status, 204)
    assert.equal((await revoke()).status, 204)
    assert.equal(await refusal(url), 'urn:edgesmith:problem:revoked-signature')
  })

  it('are for the client of the gateway', async () => {
    const { url } = await create({ clientAddress: '127.0.0.2' })
    assert.equal(await refusal(url), 'urn:edgesmith:problem:wrong-client-address')
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      http.get(url, { localAddress: '127.0.0.2' }, resolve).once('error', reject)
    })
    assert.equal(response.statusCode, 200)
    assert.deepEqual(await buffer(response), bytes)
  })

  it('count downloads', async () => {
    const { url } = await create({ maxDownloads: 1 })
    assert.equal((await fetch(url)).status, 200)
    assert.equal(await refusal(url), 'urn:edgesmith:problem:used-up-signature')
  })
})
