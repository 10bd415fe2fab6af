import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createServer as createSecureServer, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import { RangeConnection } from '../src/range-connection.ts'
import { MiB } from './byte-streams.ts'

const bytes = randomBytes(3 * MiB)
const range = { offset: 7, length: bytes.length }

type Answer = (socket: Socket, request: string) => void

function head(length: number, status = '206 Partial Content'): string {
  return `HTTP/1.1 ${status}\r\nServer: test\r\ncontent-LENGTH: ${length}\r\n\r\n`
}

describe('A range that is read by a connection of its own', () => {
  let directory: string
  let identity: { key: Buffer; cert: Buffer }
  const trusted = getCACertificates('default')

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-tls-'))
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    await promisify(execFile)('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
    ])
    identity = { key: await readFile(key), cert: await readFile(cert) }
  })
  after(async () => {
    setDefaultCACertificates(trusted)
    await rm(directory, { recursive: true })
  })

  async function serve(answer: Answer, { secure = false } = {}): Promise<AsyncDisposable & { url: URL }> {
    const sockets = new Set<Socket>()
    const onConnection = (socket: Socket): void => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.once('data', (request) => {
        answer(socket, request.toString())
      })
    }
    const server: Server = secure ? createSecureServer(identity, onConnection) : createServer(onConnection)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    return {
      url: new URL(`${secure ? 'https' : 'http'}://localhost:${port}/bucket/object?signature=a%2Fb`),
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy()
        await once(server.close(), 'close')
      },
    }
  }

  async function readAll(connection: RangeConnection | undefined): Promise<Buffer> {
    assert.ok(connection)
    await using reader = connection
    const pieces: Buffer[] = []
    for (;;) {
      const buffer = Buffer.alloc(100_000)
      const filled = await reader.read(buffer)
      pieces.push(buffer.subarray(0, filled))
      if (filled < buffer.length) {
        assert.equal(await reader.read(Buffer.alloc(1)), 0)
        return Buffer.concat(pieces)
      }
    }
  }

  for (const secure of [false, true]) {
    it(`has the bytes that come over ${secure ? 'TLS' : 'TCP'}`, async () => {
      if (secure) setDefaultCACertificates([...trusted, identity.cert.toString()])
      const requests: string[] = []
      await using server = await serve(
        (socket, request) => {
          requests.push(request)
          socket.write(head(bytes.length))
          socket.end(bytes)
        },
        { secure },
      )
      const connection = await RangeConnection.open({ url: server.url, range, silence: 5000 })
      assert.ok((await readAll(connection)).equals(bytes))
      assert.deepEqual(requests[0]?.split('\r\n'), [
        'GET /bucket/object?signature=a%2Fb HTTP/1.1',
        `Host: ${server.url.host}`,
        'Connection: close',
        `Range: bytes=7-${6 + bytes.length}`,
        '',
        '',
      ])
    })
  }

  it('has the bytes however the answer is cut, and whenever they are read', async () => {
    await using server = await serve((socket) => {
      void (async () => {
        socket.setNoDelay(true)
        const answer = Buffer.concat([Buffer.from(head(1000)), bytes.subarray(0, 1000)])
        for (const byte of answer) await new Promise((sent) => socket.write(Buffer.of(byte), sent))
      })()
    })
    const connection = await RangeConnection.open({ url: server.url, range, silence: 5000 })
    assert.ok((await readAll(connection)).equals(bytes.subarray(0, 1000)))
  })

  const others: Record<string, string> = {
    'an error': 'HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n',
    'the whole object': head(3, '200 OK') + 'all',
    'a body without a length': 'HTTP/1.1 206 Partial Content\r\n\r\nbytes',
    'a body in chunks':
      'HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    'more bytes than it was asked for': head(bytes.length + 1),
    'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
    'a head without an end': `HTTP/1.1 206 Partial Content\r\nX: ${'x'.repeat(40_000)}`,
  }
  for (const [what, answer] of Object.entries(others)) {
    it(`is left to another way when the server answers ${what}`, async () => {
      await using server = await serve((socket) => socket.write(answer))
      assert.equal(await RangeConnection.open({ url: server.url, range, silence: 5000 }), undefined)
    })
  }

  it('fails when the connection ends too soon', async () => {
    await using server = await serve((socket) => {
      socket.write(head(bytes.length))
      socket.end(bytes.subarray(0, 2 * MiB))
    })
    const connection = await RangeConnection.open({ url: server.url, range, silence: 5000 })
    await assert.rejects(readAll(connection), /closed the connection too soon/)
    await using dead = await serve((socket) => socket.end())
    await assert.rejects(RangeConnection.open({ url: dead.url, range, silence: 5000 }), /too soon/)
  })

  it('fails when the server falls silent before its answer, or within it', async () => {
    await using silent = await serve(() => undefined)
    await assert.rejects(
      RangeConnection.open({ url: silent.url, range, silence: 50 }),
      /not answered for 50 ms/,
    )
    await using server = await serve((socket) => socket.write(head(1000)))
    const connection = await RangeConnection.open({ url: server.url, range, silence: 50 })
    await assert.rejects(readAll(connection), /not answered for 50 ms/)
  })

  it('fails once it is closed', async () => {
    await using server = await serve((socket) => socket.write(head(1000)))
    const connection = await RangeConnection.open({ url: server.url, range, silence: 5000 })
    assert.ok(connection)
    const reading = assert.rejects(connection.read(Buffer.alloc(10)), /The reader was closed/)
    await connection[Symbol.asyncDispose]()
    await reading
  })
})
