import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createPlainServer } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { TLSSocket } from 'node:tls'
import { CertificateAuthority, type LeafOptions } from '@edgesmith/certificates/authority'
import { createLogger } from '@edgesmith/service/lifecycle'
import { ServiceCertificate, type Credentials } from '@edgesmith/service/service-certificate'
import { request, type Agent } from 'undici'
import { issueCredentials, writeCredentials } from '../../../test/support/service-credentials.ts'
import { serviceAgent } from '../src/service-agent.ts'

const hour = 60 * 60_000

describe('The connections of the gateway to a service', () => {
  let authority: CertificateAuthority
  let directory: string
  let certificate: ServiceCertificate
  let agent: Agent

  const issue = (options: Partial<LeafOptions>, by = authority): Promise<Credentials> =>
    issueCredentials(authority, { name: 'artifact', usage: 'server', ...options }, by)
  const write = (credentials: Credentials) => writeCredentials(directory, credentials)

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-service-agent-'))
    authority = await CertificateAuthority.create('test', 10 * hour)
    await write(await issue({ name: 'gateway', usage: 'client' }))
    certificate = await ServiceCertificate.open({
      ...{ directory, service: 'gateway', logger: createLogger('test', 'silent'), lookMs: 10 },
    })
    agent = serviceAgent(certificate, 'artifact')
  })
  after(async () => {
    await agent.close()
    certificate[Symbol.dispose]()
    await rm(directory, { recursive: true })
  })

  /** Runs a server that answers with the serial number of the client's certificate. */
  async function serve(
    options: ServerOptions,
  ): Promise<AsyncDisposable & { url: string; isAsked: () => boolean }> {
    let isAsked = false
    const server = createServer({ requestCert: true, ...options }, ({ socket }, response) => {
      isAsked = true
      response.setHeader('connection', 'close')
      response.end(socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.serialNumber : undefined)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
      isAsked: () => isAsked,
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections()
        server.close()
        await once(server, 'close')
      },
    }
  }

  async function ask(url: string): Promise<string> {
    const { body } = await request(url, { dispatcher: agent })
    return await body.text()
  }

  it('lead to the service that is meant, at whatever address it is', async () => {
    await using server = await serve(await issue({}))
    assert.match(await ask(server.url), /^[0-9A-F]+$/)
  })

  for (const [what, options, reason] of [
    [
      'names another service',
      { name: 'validation' },
      /artifact service names spiffe:\/\/edgesmith\/validation/,
    ],
    ['has expired', { lifetimeMs: -1000 }, /expired/],
    ['is one of a client', { usage: 'client' }, /purpose/],
  ] as const) {
    it(`are broken off where the certificate ${what}`, async () => {
      await using server = await serve(await issue(options))
      await assert.rejects(ask(server.url), reason)
      assert.equal(server.isAsked(), false)
    })
  }

  it('are broken off where the certificate is of another authority', async () => {
    const other = await CertificateAuthority.create('test', hour)
    await using server = await serve({ ...(await issue({}, other)), ca: other.certificate })
    await assert.rejects(ask(server.url), /unable to verify|self-signed|issuer/)
    assert.equal(server.isAsked(), false)
  })

  it('are broken off where the server speaks TLS 1.2 at the most, or plain HTTP', async () => {
    await using server = await serve({ ...(await issue({})), maxVersion: 'TLSv1.2' })
    await assert.rejects(ask(server.url), /protocol version/)
    const plain = createPlainServer((_request, response) => response.end('plain')).listen(0, '127.0.0.1')
    await once(plain, 'listening')
    try {
      await assert.rejects(
        ask(`https://127.0.0.1:${(plain.address() as AddressInfo).port}`),
        /wrong version number|SSL/,
      )
    } finally {
      plain.closeAllConnections()
      plain.close()
    }
  })

  it('show a renewed certificate without a restart', async () => {
    await using server = await serve(await issue({}))
    const before = await ask(server.url)
    assert.equal(await ask(server.url), before)
    const renewed = new Promise<void>((resolve) => {
      certificate.onRenewal(resolve)
    })
    await write(await issue({ name: 'gateway', usage: 'client' }))
    await renewed
    assert.notEqual(await ask(server.url), before)
  })
})
