import assert from 'node:assert/strict'
import { once } from 'node:events'
import { X509Certificate } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { CertificateAuthority, type KeyPair } from '@edgesmith/certificates/authority'

const hour = 60 * 60_000

/** Answers what the server says to a client, over mutual TLS as BuildKit speaks it. */
async function greet(authority: CertificateAuthority, server: KeyPair, client?: KeyPair): Promise<string> {
  const listener = createServer(
    {
      key: server.key,
      cert: server.certificate,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (socket) => {
      socket.end('welcome')
    },
  )
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  let socket: TLSSocket | undefined
  try {
    socket = connect({
      host: '127.0.0.1',
      port: (listener.address() as AddressInfo).port,
      servername: 'buildkitd',
      ca: authority.certificate,
      ...(client === undefined ? {} : { key: client.key, cert: client.certificate }),
    })
    let text = ''
    for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString()
    return text
  } finally {
    socket?.destroy()
    listener.close()
  }
}

describe('CertificateAuthority', () => {
  it('lets a client in that has one of its certificates', async () => {
    const authority = await CertificateAuthority.create('test', hour)
    const server = await authority.issue({ name: 'buildkitd', usage: 'server', lifetimeMs: hour })
    const client = await authority.issue({ name: 'build-1', usage: 'client', lifetimeMs: hour })
    assert.equal(await greet(authority, server, client), 'welcome')
  })

  it('keeps out a client without a certificate, or with one of another authority', async () => {
    const authority = await CertificateAuthority.create('test', hour)
    const other = await CertificateAuthority.create('test', hour)
    const server = await authority.issue({ name: 'buildkitd', usage: 'server', lifetimeMs: hour })
    const stranger = await other.issue({ name: 'build-1', usage: 'client', lifetimeMs: hour })
    for (const client of [undefined, stranger]) {
      const answer = await greet(authority, server, client).catch((error: unknown) => String(error))
      assert.notEqual(answer, 'welcome')
    }
  })

  it('is not taken for a server by its name alone', async () => {
    const authority = await CertificateAuthority.create('test', hour)
    const client = await authority.issue({ name: 'build-1', usage: 'client', lifetimeMs: hour })
    const misnamed = await authority.issue({ name: 'elsewhere', usage: 'server', lifetimeMs: hour })
    await assert.rejects(greet(authority, misnamed, client), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  })

  it('issues P-256 certificates that end with the authority at the latest', async () => {
    const authority = await CertificateAuthority.create('test', hour)
    const { certificate } = await authority.issue({ name: 'build-1', usage: 'client', lifetimeMs: 10 * hour })
    const parsed = new X509Certificate(certificate)
    assert.equal(parsed.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
    assert.equal(parsed.validToDate.getTime(), Math.floor(authority.notAfter.getTime() / 1000) * 1000)
    assert.equal(parsed.ca, false)
    assert.deepEqual(parsed.keyUsage, ['1.3.6.1.5.5.7.3.2'])
  })
})
