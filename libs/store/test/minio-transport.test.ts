import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { createTransport } from '../src/minio-transport.ts'
import { ServerBusy } from '../src/retry.ts'

describe('transport of the minio client', () => {
  it('gives up on a server that does not answer', async () => {
    await using server = await serve(() => undefined)
    await assert.rejects(request(server.url, { answerTimeout: 50 }), /has not answered for 50 ms/)
  })

  it('waits for a body however long it takes once the answer has begun', async () => {
    await using server = await serve((_request, response) => {
      response.write('slow')
      setTimeout(() => response.end('ly'), 200)
    })
    assert.equal(await text(await request(server.url, { answerTimeout: 50 })), 'slowly')
  })

  it('tells a server that is busy, and frees its connection', async () => {
    await using server = await serve((_request, response) => {
      response.writeHead(503).end('later'.repeat(100_000))
    })
    for (let round = 0; round < 3; round += 1) {
      await assert.rejects(request(server.url, { answerTimeout: 5000 }), ServerBusy)
    }
  })
})

// With one connection, a second request can only be sent when the first has given it back.
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

function request(url: URL, options: { answerTimeout: number }): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  createTransport('http:', options).request(url, { agent }, resolve).on('error', reject).end()
  return promise
}

async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: URL }> {
  const server = http.createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
