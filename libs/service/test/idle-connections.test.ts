import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { pino } from 'pino'
import { createApp, type App } from '../src/app.ts'

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

/** Keeps connections for the next request. */
class DisposableAgent extends Agent implements Disposable {
  constructor() {
    super({ keepAlive: true })
  }

  [Symbol.dispose](): void {
    this.destroy()
  }
}
