import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setInterval as ticks, setTimeout as delay } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { pino } from 'pino'
import { createApp, type App } from '../src/app.ts'
import { cutIdleConnections } from '../src/idle-connections.ts'

const idleTimeoutMs = 200

describe('Connections of a service', () => {
  /** An app of which a route answers once it is told to. */
  async function open(): Promise<{ app: App; url: URL; reached: Promise<void>; answer: () => void }> {
    const app = createApp({ logger: pino({ level: 'silent' }), dependencies: [], idleTimeoutMs })
    const goOn = Promise.withResolvers<undefined>()
    const reached = Promise.withResolvers<undefined>()
    app.addContentTypeParser('application/octet-stream', (_request, payload, parsed) => {
      parsed(null, payload)
    })
    app.post('/slow', { config: { scope: 'public' } }, async () => {
      reached.resolve(undefined)
      await goOn.promise
      return 'done'
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return {
      app,
      url: new URL(app.listeningOrigin),
      reached: reached.promise,
      answer: () => {
        goOn.resolve(undefined)
      },
    }
  }

  function post(url: URL, agent: Agent): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/octet-stream', 'content-length': 3 }
      request(new URL('/slow', url), { method: 'POST', agent, headers }, resolve)
        .once('error', reject)
        .end('abc')
    })
  }

  it('are not cut off while the client waits for the service', async () => {
    const { app, url, reached, answer } = await open()
    using agent = new DisposableAgent()
    const answering = post(url, agent)
    await reached
    // Another one that is silent through its own fault is cut off meanwhile, twice over.
    for (let cut = 0; cut < 3; cut += 1) {
      const socket = connect(Number(url.port), '127.0.0.1')
      socket.write('POST /slow HTTP/1.1\r\nHost: a\r\n')
      socket.on('error', () => undefined)
      await once(socket, 'close')
    }
    answer()
    assert.equal((await answering).statusCode, 200)
    await app.close()
  })

  it('are closed with their service as soon as they are answered', async () => {
    const { app, url, reached, answer } = await open()
    using agent = new DisposableAgent()
    const answering = post(url, agent)
    await reached
    const closing = app.close()
    answer()
    const response = await answering
    assert.equal(response.statusCode, 200)
    response.resume()
    assert.equal(
      await Promise.race([closing.then(() => 'closed'), delay(5000, 'open', { ref: false })]),
      'closed',
    )
  })
})

describe('Clients', { timeout: 180_000 }, () => {
  /** Several times what it takes to read all that is on its way in the kernel, on a busy machine too. */
  const idleMs = 2000

  /** A server that reads what comes and answers it at its end, and that sends zeros without end. */
  async function serve(minimumRate: number) {
    const ended = Promise.withResolvers<undefined>()
    const server = createServer((asked, response) => {
      if (asked.method === 'POST') {
        asked.resume().once('end', () => response.end('read'))
        return
      }
      const zeros = new Readable({
        read() {
          this.push(Buffer.alloc(65_536))
        },
      })
      pipeline(zeros, response, () => {
        ended.resolve(undefined)
      })
    })
    server.setTimeout(idleMs)
    cutIdleConnections(server, idleMs, minimumRate)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    return {
      port,
      /** No more is read of the zeros. */
      ended: ended.promise,
      async [Symbol.asyncDispose]() {
        const closed = once(server, 'close')
        server.close()
        server.closeAllConnections()
        await closed
      },
    }
  }

  /** Sends a body, a piece in each tick, until it is complete or the connection is closed. */
  async function send(port: number, { size, piece }: { size: number; piece: number }) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    const answer = text(socket).catch(() => '')
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`)
    let sent = 0
    for await (const _tick of ticks(10)) {
      if (socket.destroyed || sent === size) break
      socket.write('x'.repeat(piece))
      sent += piece
    }
    return { sent, answer: await answer }
  }

  /** Reads a piece in each tick until so much was read or the connection is closed; how much that was. */
  async function read(port: number, { size, piece }: { size: number; piece: number }): Promise<number> {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    let got = 0
    for await (const _tick of ticks(10)) {
      if (socket.destroyed || got >= size) break
      const bytes = socket.read(Math.min(piece, socket.readableLength)) as Buffer | null
      got += bytes?.length ?? 0
    }
    socket.destroy()
    return got
  }

  it('that send less than they have to are cut off, though they are never silent', async () => {
    await using server = await serve(1000)
    const { sent, answer } = await send(server.port, { size: 100_000, piece: 1 })
    assert.ok(sent < 100_000)
    assert.equal(answer, '')
  })

  it('that send enough are not, however long it takes', async () => {
    await using server = await serve(1000)
    const startedAt = performance.now()
    const { answer } = await send(server.port, { size: 120_000, piece: 200 })
    assert.match(answer, /read$/)
    assert.ok(performance.now() - startedAt > 2 * idleMs)
  })

  it('that read nothing are cut off, and what they were sent is read no longer', async () => {
    await using server = await serve(0)
    const socket = connect(server.port, '127.0.0.1').on('error', () => undefined)
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await server.ended
    socket.destroy()
  })

  it('that read less than they have to are cut off, though they are never silent', async () => {
    await using server = await serve(100_000_000)
    const reading = read(server.port, { size: Infinity, piece: 65_536 })
    await server.ended
    await reading
  })

  it('that read enough are not, however long it takes', async () => {
    await using server = await serve(1000)
    const startedAt = performance.now()
    const got = await read(server.port, { size: 32_000_000, piece: 65_536 })
    assert.ok(got >= 32_000_000)
    assert.ok(performance.now() - startedAt > 2 * idleMs)
  })
})

/** Keeps connections for the next request. */
class DisposableAgent extends Agent implements Disposable {
  constructor() {
    super({ keepAlive: true })
  }

  [Symbol.dispose](): void {
    this.destroy()
  }
}
