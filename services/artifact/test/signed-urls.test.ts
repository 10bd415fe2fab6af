import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import type { Artifact, DownloadUrl } from '@edgesmith/contract/artifact'
import type { Problem } from '@edgesmith/contract/problem'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { openStores, type OpenStores } from '../../../libs/artifacts/test/stores.ts'
import { fetch } from '../../../test/support/as-gateway.ts'
import { ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startArtifact } from '../src/service.ts'

const bytes = randomBytes(300_000)
const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'
const config = {
  logLevel: 'silent',
  host: '127.0.0.1',
  port: 0,
  internal: { host: '127.0.0.1', port: 0 },
  serviceTlsDirectory: tlsDirectoryOf('artifact'),
  publicUrl: undefined,
  trustedProxies: ['127.0.0.1'],
  signingKeys: ['new'.repeat(16), 'old'.repeat(16)],
  objectStore: { kind: 'directory', directory: '' },
} as const

for (const [name, open] of Object.entries(openStores)) {
  describe(`signed URLs, ${name}`, () => {
    let opened: OpenStores
    /** Two processes behind one name. */
    let services: [CalledService, CalledService]
    let artifact: Artifact
    let other: Artifact

    before(async () => {
      opened = await open()
      const [first, second] = opened.stores
      const store = ownStore(first)
      const publish = (content: Buffer) =>
        publishArtifact(store, { buildId, name: 'site.iso', source: Readable.from([content]) })
      artifact = await publish(bytes)
      other = await publish(bytes.subarray(1))
      services = [
        await startArtifact(config, { store: first }),
        await startArtifact(config, { store: second }),
      ]
    })
    after(async () => {
      for (const service of services) await service[Symbol.asyncDispose]()
      await opened[Symbol.asyncDispose]()
    })

    async function post(body: object): Promise<Response> {
      return await fetch(`${services[0].internalUrl}/v1/artifacts/${artifact.id}/download-url`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    }

    async function create(body: object = {}): Promise<DownloadUrl> {
      const response = await post({ ttlSeconds: 60, ...body })
      assert.equal(response.status, 201)
      return (await response.json()) as DownloadUrl
    }

    function revoke({ id }: DownloadUrl, of = artifact.id): Promise<Response> {
      return fetch(`${services[0].internalUrl}/v1/artifacts/${of}/download-urls/${id}`, { method: 'DELETE' })
    }

    /** The whole answer has to be the problem, with nothing of the file in body or headers. */
    async function assertRefused(response: Response, code: string): Promise<void> {
      assert.equal(response.status, 403)
      assert.equal(response.headers.get('content-type'), 'application/problem+json')
      const problem = (await response.json()) as Problem
      assert.equal(problem.type, `urn:edgesmith:problem:${code}`)
    }

    const alterations: Record<string, (url: URL) => void> = {
      'a later expiry': ({ searchParams }) => {
        searchParams.set('expires', String(Number(searchParams.get('expires')) + 1))
      },
      'an expiry that is no number': ({ searchParams }) => {
        searchParams.set('expires', 'never')
      },
      'no expiry': ({ searchParams }) => {
        searchParams.delete('expires')
      },
      'another method': ({ searchParams }) => {
        searchParams.set('method', 'HEAD')
      },
      'an unknown method': ({ searchParams }) => {
        searchParams.set('method', 'PUT')
      },
      'another grant': ({ searchParams }) => {
        searchParams.set('grant', other.id)
      },
      'no grant': ({ searchParams }) => {
        searchParams.delete('grant')
      },
      'a higher limit': ({ searchParams }) => {
        searchParams.set('limit', '3')
      },
      'no limit': ({ searchParams }) => {
        searchParams.delete('limit')
      },
      'another network': ({ searchParams }) => {
        searchParams.set('client', '0.0.0.0/0')
      },
      'no network': ({ searchParams }) => {
        searchParams.delete('client')
      },
      'an altered signature': ({ searchParams }) => {
        const signature = searchParams.get('signature') ?? ''
        searchParams.set('signature', (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1))
      },
      'a signature cut off': ({ searchParams }) => {
        searchParams.set('signature', (searchParams.get('signature') ?? '').slice(0, -1))
      },
      'no signature': ({ searchParams }) => {
        searchParams.delete('signature')
      },
      'a second signature': ({ searchParams }) => {
        searchParams.append('signature', searchParams.get('signature') ?? '')
      },
      'a parameter more': ({ searchParams }) => {
        searchParams.set('more', '1')
      },
      'another artifact': (url) => {
        url.pathname = url.pathname.replace(artifact.id, other.id)
      },
      'an artifact that is none': (url) => {
        url.pathname = url.pathname.replace(artifact.id, 'any')
      },
      'another name': (url) => {
        url.pathname = url.pathname.replace('site.iso', 'site.img')
      },
    }

    it('are refused with any alteration, and use nothing up', async () => {
      const { url } = await create({ maxDownloads: 2, clientAddress: '127.0.0.1' })
      for (const [what, alter] of Object.entries(alterations)) {
        const altered = new URL(url)
        alter(altered)
        assert.notEqual(altered.href, url, what)
        for (const method of ['GET', 'HEAD']) {
          const response = await fetch(altered, { method })
          assert.equal(response.status, 403, `${method} with ${what}`)
          assert.equal(response.headers.get('etag'), null)
          if (method === 'GET') await assertRefused(response, 'invalid-signature')
        }
      }
      for (let count = 0; count < 2; count++) {
        assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), bytes)
      }
    })

    it('of another artifact do not open this one', async () => {
      const { url } = await create()
      const moved = url.replace(artifact.id, other.id)
      await assertRefused(await fetch(moved), 'invalid-signature')
    })

    it('for HEAD allow no GET', async () => {
      const { url } = await create({ method: 'HEAD' })
      const head = await fetch(url, { method: 'HEAD' })
      assert.equal(head.status, 200)
      assert.equal(head.headers.get('content-length'), '300000')
      await assertRefused(await fetch(url), 'invalid-signature')
    })

    it('are refused once they have expired', async () => {
      const { url } = await create({ ttlSeconds: 1 })
      let response = await fetch(url, { method: 'HEAD' })
      while (response.ok) response = await fetch(url, { method: 'HEAD' })
      await assertRefused(await fetch(url), 'expired-signature')
    })

    it('are not made for an artifact that is not there, and nothing is kept of them', async () => {
      const store = ownStore(opened.stores[0])
      const grants = () => Array.fromAsync(store.list('grants/'), ({ key }) => key)
      const before = await grants()
      const response = await fetch(`${services[0].internalUrl}/v1/artifacts/${buildId}/download-url`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      })
      assert.equal(response.status, 404)
      assert.deepEqual(await grants(), before)
    })

    it('are refused once they have been revoked, whenever they expire', async () => {
      const [revoked, kept] = [await create(), await create()]
      assert.equal((await fetch(revoked.url, { method: 'HEAD' })).status, 200)
      assert.equal((await revoke(revoked, other.id)).status, 404)
      assert.equal((await fetch(revoked.url, { method: 'HEAD' })).status, 200)
      for (let count = 0; count < 2; count++) assert.equal((await revoke(revoked)).status, 204)
      await assertRefused(await fetch(revoked.url), 'revoked-signature')
      assert.equal((await fetch(revoked.url, { method: 'HEAD' })).status, 403)
      assert.equal((await fetch(kept.url, { method: 'HEAD' })).status, 200)
      for (const [id, of, code] of [
        [buildId, artifact.id, 'download-url-not-found'],
        [revoked.id, buildId, 'artifact-not-found'],
      ] as const) {
        const response = await revoke({ ...revoked, id }, of)
        assert.equal(response.status, 404)
        assert.equal(((await response.json()) as Problem).type, `urn:edgesmith:problem:${code}`)
      }
    })

    it('for three downloads serve three of fifty that come at once to two processes', async () => {
      const { url } = await create({ maxDownloads: 3 })
      const elsewhere = url.replace(services[0].url, services[1].url)
      assert.notEqual(elsewhere, url)
      const answers = await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const response = await fetch(index % 2 === 0 ? url : elsewhere)
          const { status, headers } = response
          return { status, headers, body: Buffer.from(await response.arrayBuffer()) }
        }),
      )
      const served = answers.filter(({ status }) => status === 200)
      assert.equal(served.length, 3)
      for (const { body } of served) assert.deepEqual(body, bytes)
      for (const { status, headers, body } of answers.filter((answer) => !served.includes(answer))) {
        assert.equal(status, 403)
        assert.deepEqual([headers.get('etag'), headers.get('content-disposition')], [null, null])
        assert.equal((JSON.parse(body.toString()) as Problem).type, 'urn:edgesmith:problem:used-up-signature')
      }
      await assertRefused(await fetch(url), 'used-up-signature')
      assert.equal((await fetch(url, { method: 'HEAD' })).status, 403)
    })

    it('for one download count what is answered with bytes alone', async () => {
      const { url } = await create({ maxDownloads: 2 })
      const get = (headers: Record<string, string>) => fetch(url, { headers })
      const etag = (await fetch(url, { method: 'HEAD' })).headers.get('etag') ?? ''
      assert.equal((await get({ 'if-none-match': etag })).status, 304)
      assert.equal((await get({ range: 'bytes=300000-' })).status, 416)
      for (const range of ['bytes=0-149999', 'bytes=150000-']) {
        const response = await get({ range })
        assert.equal(response.status, 206)
        assert.equal((await response.arrayBuffer()).byteLength, 150_000)
      }
      await assertRefused(await get({ range: 'bytes=0-0' }), 'used-up-signature')
    })

    const clients: [clientAddress: string, forwardedFor: string | undefined, isServed: boolean][] = [
      ['127.0.0.1', undefined, true],
      ['::ffff:127.0.0.1', undefined, true],
      ['127.0.0.0/8', undefined, true],
      ['127.0.0.2', undefined, false],
      ['::1', undefined, false],
      ['203.0.113.7', '203.0.113.7', true],
      ['203.0.113.7', '::ffff:203.0.113.7', true],
      ['203.0.113.0/24', '203.0.113.200', true],
      ['203.0.113.0/24', '203.0.114.1', false],
      ['127.0.0.1', '203.0.113.7', false],
      ['2001:DB8::/48', '2001:db8:0:1::7', true],
      ['2001:db8::/48', '2001:db8:1::7', false],
      // What the client wrote before the trusted proxy added its address.
      ['203.0.113.7', '203.0.113.7, 198.51.100.1', false],
      ['198.51.100.1', '203.0.113.7, 198.51.100.1', true],
      ['203.0.113.7', 'unknown', false],
    ]
    for (const [clientAddress, forwardedFor, isServed] of clients) {
      const from = forwardedFor === undefined ? '127.0.0.1' : `a proxy for ${forwardedFor}`
      it(`for ${clientAddress} are ${isServed ? 'served' : 'refused'} to ${from}`, async () => {
        const { url } = await create({ clientAddress })
        const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
        const response = await fetch(url, { headers })
        if (!isServed) return assertRefused(response, 'wrong-client-address')
        assert.equal(response.status, 200)
        assert.equal((await response.arrayBuffer()).byteLength, bytes.length)
      })
    }

    it('believe no proxy that is not trusted', async () => {
      await using service = await startArtifact(
        { ...config, trustedProxies: [] },
        { store: opened.stores[0] },
      )
      const { url } = await create({ clientAddress: '203.0.113.7' })
      const response = await fetch(url.replace(services[0].url, service.url), {
        headers: { 'x-forwarded-for': '203.0.113.7' },
      })
      await assertRefused(response, 'wrong-client-address')
    })

    it('live while the key they were signed with is configured', async () => {
      const { url } = await create({ maxDownloads: 5 })
      for (const [signingKeys, status] of [
        [['newer'.repeat(8), ...config.signingKeys], 200],
        [['newer'.repeat(8)], 403],
      ] as const) {
        await using rotated = await startArtifact({ ...config, signingKeys }, { store: opened.stores[0] })
        const response = await fetch(url.replace(services[0].url, rotated.url))
        assert.equal(response.status, status)
        await response.arrayBuffer()
      }
    })

    const faults: [body: object, pointer: string][] = [
      [{ method: 'PUT' }, '/method'],
      [{ maxDownloads: 0 }, '/maxDownloads'],
      [{ maxDownloads: 1001 }, '/maxDownloads'],
      [{ maxDownloads: '1' }, '/maxDownloads'],
      [{ clientAddress: 'edge.example.com' }, '/clientAddress'],
      [{ clientAddress: '203.0.113.0/33' }, '/clientAddress'],
      [{ clientAddress: 'fe80::1%eth0' }, '/clientAddress'],
      [{ clientAddresses: [] }, '/clientAddresses'],
    ]
    for (const [body, pointer] of faults) {
      it(`are not made of ${JSON.stringify(body)}`, async () => {
        const response = await post(body)
        assert.equal(response.status, 422)
        const problem = (await response.json()) as Problem
        assert.equal(problem.errors?.[0]?.pointer, pointer)
      })
    }
  })
}
