import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectPlainly } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { connect, type ConnectionOptions } from 'node:tls'
import { CertificateAuthority, type LeafOptions } from '@edgesmith/certificates/authority'
import { issueCredentials, writeCredentials } from '../../../test/support/service-credentials.ts'
import { ConfigurationError } from '../src/environment.ts'
import { createApp, type App } from '../src/app.ts'
import { createLogger, listenForServices } from '../src/lifecycle.ts'
import { ServiceCertificate, type Credentials } from '../src/service-certificate.ts'
import { certificateUri, serviceUri } from '../src/service-name.ts'
import { callerOf, requireCaller } from '../src/service-server.ts'

const hour = 60 * 60_000
const noCertificate = /showed no certificate/
const loopback = { host: '127.0.0.1', port: 0 }

type Line = { readonly msg: string; readonly reason?: string; readonly remoteAddress?: string }

/** Log lines, and a promise of the first one, from now on, that fits. */
class Log {
  readonly lines: Line[] = []
  readonly #waiting = new Set<() => void>()
  readonly logger = createLogger('test', 'info', {
    destination: {
      write: (line) => {
        this.lines.push(JSON.parse(line) as Line)
        for (const look of this.#waiting) look()
      },
    },
  })

  next(fits: (line: Line) => boolean): Promise<Line> {
    const from = this.lines.length
    return new Promise((resolve) => {
      const look = () => {
        const line = this.lines.slice(from).find(fits)
        if (line === undefined) return
        this.#waiting.delete(look)
        resolve(line)
      }
      this.#waiting.add(look)
    })
  }
}

describe('A server for services', () => {
  const log = new Log()
  let authority: CertificateAuthority
  let directory: string
  let certificate: ServiceCertificate
  let app: App
  let url: URL

  const issue = (options: Partial<LeafOptions> = {}, by = authority): Promise<Credentials> =>
    issueCredentials(authority, { name: 'gateway', usage: 'client', ...options }, by)
  const write = (credentials: Credentials) => writeCredentials(directory, credentials)

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-service-server-'))
    authority = await CertificateAuthority.create('test', 10 * hour)
    await write(await issue({ name: 'artifact', usage: 'server' }))
    certificate = await ServiceCertificate.open({
      ...{ directory, service: 'artifact', logger: log.logger, lookMs: 10 },
    })
    app = createApp({ logger: log.logger, dependencies: [], services: { certificate, callers: ['gateway'] } })
    app.get('/caller', { onRequest: requireCaller('gateway') }, ({ socket }) => callerOf(socket) ?? 'nobody')
    url = new URL(await listenForServices(app, loopback))
  })
  after(async () => {
    await app.close()
    certificate[Symbol.dispose]()
    await rm(directory, { recursive: true })
  })

  /** What a client gets to `GET /caller`, and the certificate that it is shown. */
  async function ask(options: ConnectionOptions): Promise<{ answer: string; serial: string }> {
    const socket = connect({
      ...{ host: url.hostname, port: Number(url.port), checkServerIdentity: () => undefined },
      ...options,
    })
    try {
      await once(socket, 'secureConnect')
      const serial = socket.getPeerX509Certificate()?.serialNumber ?? ''
      socket.write('GET /caller HTTP/1.1\r\nHost: artifact\r\nConnection: close\r\n\r\n')
      return { answer: await text(socket), serial }
    } finally {
      socket.destroy()
    }
  }

  /** Asserts that a client gets no answer, and that the log says why. */
  async function assertRefused(options: ConnectionOptions, reason: RegExp): Promise<void> {
    const told = log.next(({ msg }) => msg === 'Refused a connection.')
    const outcome = await ask(options).then(
      ({ answer }) => answer,
      (error: unknown) => error as NodeJS.ErrnoException,
    )
    if (typeof outcome === 'string') assert.equal(outcome, '')
    const line = await told
    assert.match(line.reason ?? '', reason)
    assert.equal(line.remoteAddress, '127.0.0.1')
  }

  it('says its address as one of HTTPS, and answers a service that may call it', async () => {
    assert.equal(url.protocol, 'https:')
    const { answer } = await ask(await issue())
    assert.match(answer, /^HTTP\/1\.1 200 /)
    assert.match(answer, /\r\n\r\ngateway$/)
  })

  it('refuses who has no certificate', async () => {
    await assertRefused({ ca: authority.certificate }, noCertificate)
  })

  it('refuses a certificate of another authority, whatever it names', async () => {
    const other = await CertificateAuthority.create('test', hour)
    await assertRefused(await issue({}, other), /UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)/)
  })

  it('refuses a certificate that has expired', async () => {
    await assertRefused(await issue({ lifetimeMs: -1000 }), /CERT_HAS_EXPIRED/)
  })

  it('refuses services that may not call it', async () => {
    await assertRefused(await issue({ name: 'validation' }), /names spiffe:\/\/edgesmith\/validation/)
    await assertRefused(await issue({ name: 'gateway.evil' }), /names spiffe:\/\/edgesmith\/gateway\.evil/)
  })

  it('refuses a certificate that names a host only', async () => {
    const { certificate: cert, key } = await authority.issue({
      ...{ name: 'gateway', usage: 'client', lifetimeMs: hour },
    })
    await assertRefused({ ca: authority.certificate, cert, key }, /names no service/)
  })

  it('refuses the certificate of a server as that of a client', async () => {
    await assertRefused(await issue({ usage: 'server' }), /INVALID_PURPOSE|UNSUPPORTED/i)
  })

  it('refuses TLS 1.2', async () => {
    await assertRefused({ ...(await issue()), maxVersion: 'TLSv1.2' }, /unsupported protocol/)
  })

  it('refuses plain HTTP', async () => {
    const told = log.next(({ msg }) => msg === 'Refused a connection.')
    const socket = connectPlainly({ host: url.hostname, port: Number(url.port) })
    socket.write('GET /caller HTTP/1.1\r\nHost: artifact\r\n\r\n')
    const answer = await text(socket).catch((error: unknown) => String(error))
    assert.doesNotMatch(answer, /gateway/)
    assert.match((await told).reason ?? '', /http request/)
  })

  it('resumes no session, so that the certificate is looked at each time', async () => {
    const socket = connect({
      ...{ host: url.hostname, port: Number(url.port), checkServerIdentity: () => undefined },
      ...(await issue()),
    })
    const sessions: Buffer[] = []
    socket.on('session', (session) => sessions.push(session))
    await once(socket, 'secureConnect')
    socket.write('GET /caller HTTP/1.1\r\nHost: artifact\r\nConnection: close\r\n\r\n')
    await text(socket)
    for (const session of sessions) {
      await assertRefused({ ca: authority.certificate, session }, noCertificate)
    }
  })

  it('shows a renewed certificate without a restart', async () => {
    const before = await ask(await issue())
    const told = log.next(({ msg }) => msg === 'The certificate of this service was renewed.')
    await write(await issue({ name: 'artifact', usage: 'server' }))
    await told
    const { answer, serial } = await ask(await issue())
    assert.match(answer, /^HTTP\/1\.1 200 /)
    assert.notEqual(serial, before.serial)
    await assertRefused({ ca: authority.certificate }, noCertificate)
    await assertRefused({ ...(await issue()), maxVersion: 'TLSv1.2' }, /unsupported protocol/)
  })

  it('takes certificates of each authority that ca.pem has, so that one can take the place of another', async () => {
    const next = await CertificateAuthority.create('next', hour)
    const kept = certificate.current
    const told = log.next(({ msg }) => msg === 'The certificate of this service was renewed.')
    await write({ ...kept, ca: next.certificate + authority.certificate })
    await told
    for (const by of [authority, next]) {
      assert.match((await ask(await issue({}, by))).answer, /^HTTP\/1\.1 200 /)
    }
    const restored = log.next(({ msg }) => msg === 'The certificate of this service was renewed.')
    await write(kept)
    await restored
    await assertRefused(await issue({}, next), /UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)/)
  })

  it('keeps its certificate while what is in the directory cannot be used, and says why', async () => {
    const { serial } = await ask(await issue())
    const kept = certificate.current
    for (const [broken, reason] of [
      [{ ...kept, key: (await issue()).key }, /key values mismatch/],
      [
        await issue({ name: 'validation', usage: 'server' }),
        /cert\.pem names spiffe:\/\/edgesmith\/validation/,
      ],
      [await issue({ name: 'artifact', usage: 'server', lifetimeMs: -1000 }), /cert\.pem ended at/],
      [{ ...kept, ca: 'none' }, /PEM/i],
    ] as const) {
      const told = log.next(({ msg }) => msg.includes('cannot be used') && reason.test(msg))
      await write(broken)
      await told
      assert.equal((await ask(await issue())).serial, serial)
    }
    await write(kept)
  })

  it('warns of a certificate that ends soon', async () => {
    const told = log.next(({ msg }) => msg.includes('ends at'))
    await write(await issue({ name: 'artifact', usage: 'server', lifetimeMs: 60_000 }))
    assert.match((await told).msg, /^The certificate of this service ends at .*; renew it\.$/)
  })

  it('does not start with a certificate that it cannot use', async () => {
    const open = () =>
      ServiceCertificate.open({ directory, service: 'validation', logger: log.logger }).then(
        () => assert.fail('It was taken.'),
        (error: unknown) => error as Error,
      )
    const error = await open()
    assert.ok(error instanceof ConfigurationError)
    assert.match(
      error.message,
      /names spiffe:\/\/edgesmith\/artifact, and has to name spiffe:\/\/edgesmith\/validation/,
    )
    await rm(join(directory, 'key.pem'))
    assert.match((await open()).message, /ENOENT.*npm run certificates/s)
  })
})

describe('certificateUri', () => {
  it('takes one URI, and no name that only looks like one', () => {
    const uri = serviceUri('gateway')
    assert.equal(certificateUri({ subjectaltname: `URI:${uri}` }), uri)
    assert.equal(certificateUri({ subjectaltname: `DNS:gateway, URI:${uri}` }), uri)
    assert.equal(certificateUri({ subjectaltname: `URI:${uri}, URI:spiffe://other/x` }), undefined)
    assert.equal(certificateUri({ subjectaltname: `DNS:"a, URI:${uri}, b"` }), undefined)
    assert.equal(certificateUri({ subjectaltname: 'DNS:gateway' }), undefined)
    assert.equal(certificateUri({}), undefined)
  })
})
