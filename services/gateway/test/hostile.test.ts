import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { Problem } from '@edgesmith/contract/problem'
import { operatorKey, request } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

const spec = JSON.stringify({ arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' } })

const bomb = `#cloud-config
a: &a [x, x, x, x, x, x, x, x, x]
${'bcdefghi'
  .split('')
  .map(
    (name, index) =>
      `${name}: &${name} [${Array(9)
        .fill(`*${'abcdefghi'[index] ?? ''}`)
        .join(', ')}]`,
  )
  .join('\n')}
`

const userData: { name: string; bytes: Buffer; code: RegExp }[] = [
  { name: 'aliases that multiply', bytes: Buffer.from(bomb), code: /^user-data\.alias/ },
  {
    name: 'nesting a thousand deep',
    bytes: Buffer.from(`#cloud-config\na: ${'['.repeat(1000)}${']'.repeat(1000)}\n`),
    code: /^user-data\./,
  },
  {
    name: 'a NUL',
    bytes: Buffer.from('#cloud-config\nstylus:\n  site:\n    name: a\0b\n'),
    code: /^user-data\./,
  },
  { name: 'no text at all', bytes: Buffer.from('fffefdfc80818283', 'hex'), code: /^user-data\./ },
  {
    name: 'a hundred megabytes',
    bytes: Buffer.concat([Buffer.from('#cloud-config\n'), Buffer.alloc(100_000_000, '#')]),
    code: /too-large|size/,
  },
]

describe('hostile input', () => {
  let harness: Harness
  let idle: Harness
  before(async () => {
    harness = await startHarness({ uploadLimitBytes: 200_000_000 })
    idle = await startHarness({ idleTimeoutSeconds: 1 })
  })
  after(async () => {
    await harness[Symbol.asyncDispose]()
    await idle[Symbol.asyncDispose]()
  })

  async function assertUnharmed(system: Harness): Promise<void> {
    while ((await system.incoming()).length > 0) await new Promise(setImmediate)
    assert.deepEqual(await system.keys(), [])
    assert.deepEqual((await request(system.url).get('/v1/builds')).body, { items: [] })
  }

  for (const { name, bytes, code } of userData) {
    it(`user-data with ${name}`, async () => {
      const response = await request(harness.url)
        .post('/v1/builds')
        .field('spec', spec)
        .attach('userData', bytes, 'user-data')
      assert.equal(response.status, 422, response.text)
      const errors = ((response.body as Problem).errors ?? []).filter(
        ({ severity }: Diagnostic) => severity === 'error',
      )
      assert.ok(
        errors.some((error) => error.source === 'userData' && code.test(error.code)),
        response.text,
      )
      await assertUnharmed(harness)
    })
  }

  it('user-data with CRLF and a byte order mark is read, and told of', async () => {
    const bytes = Buffer.from('\uFEFF#cloud-config\r\nstylus:\r\n  managementMode: local\r\n')
    const response = await request(harness.url)
      .post('/v1/validations')
      .field('spec', spec)
      .attach('userData', bytes, 'user-data')
    assert.equal(response.status, 200)
    const { diagnostics } = response.body as { diagnostics: Diagnostic[] }
    assert.ok(
      diagnostics.some(({ source, line }) => source === 'userData' && line === 1),
      response.text,
    )
    await assertUnharmed(harness)
  })

  for (const nested of ['? ', '[', '- ', '{a: ']) {
    it(`a build spec of ${JSON.stringify(nested)}, again and again`, async () => {
      const hostile = nested.repeat(200_000)
      const answers = [
        await request(harness.url).post('/v1/builds').set('content-type', 'application/yaml').send(hostile),
        await request(harness.url).post('/v1/fleets').field('spec', hostile),
      ]
      for (const { body, status } of answers) {
        assert.deepEqual([status, (body as Problem).type], [400, 'urn:edgesmith:problem:malformed-request'])
      }
      await assertUnharmed(harness)
    })
  }

  it('a form of ten thousand parts', async () => {
    const part = '--b\r\nContent-Disposition: form-data; name="cert"; filename="a.pem"\r\n\r\nx\r\n'
    const response = await request(harness.url)
      .post('/v1/builds')
      .set('content-type', 'multipart/form-data; boundary=b')
      .send(`${part.repeat(10_000)}--b--\r\n`)
    assert.equal(response.status, 413)
    assert.equal((response.body as Problem).type, 'urn:edgesmith:problem:content-too-large')
    await assertUnharmed(harness)
  })

  it('a header of a megabyte', async () => {
    const socket = open(harness)
    socket.write(`GET /v1/builds HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(1_000_000)}\r\n\r\n`)
    assert.match(await text(socket), /^HTTP\/1\.1 431 [^]*urn:edgesmith:problem:header-fields-too-large/)
    await assertUnharmed(harness)
  })

  for (const path of ['uploads', 'builds']) {
    it(`a client of /v1/${path} that stops sending`, async () => {
      const socket = open(idle)
      const form = '--b\r\nContent-Disposition: form-data; name="localUi"; filename="a.tar"\r\n\r\n'
      const type = path === 'builds' ? 'multipart/form-data; boundary=b' : 'application/octet-stream'
      socket.write(
        `POST /v1/${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${operatorKey}\r\nContent-Type: ${type}\r\nContent-Length: 90000\r\n\r\n`,
      )
      socket.write(`${path === 'builds' ? form : ''}${'x'.repeat(20_000)}`)
      socket.resume()
      await once(socket, 'close')
      await assertUnharmed(idle)
    })
  }

  function open(system: Harness): Socket {
    const { hostname, port } = new URL(system.url)
    return connect(Number(port), hostname).on('error', () => undefined)
  }
})
