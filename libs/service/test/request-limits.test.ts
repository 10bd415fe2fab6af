import assert from 'node:assert/strict'
import { once } from 'node:events'
import { METHODS } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { setInterval as ticks } from 'node:timers/promises'
import { pino } from 'pino'
import { Type } from 'typebox'
import { createApp, type App } from '../src/app.ts'

describe('Requests beyond what a service takes', { timeout: 60_000 }, () => {
  let app: App
  before(async () => {
    app = createApp({ logger: pino({ level: 'silent' }), dependencies: [], headTimeoutMs: 400 })
    app.get('/here', () => 'here')
    app.post('/any', { schema: { body: Type.Object({ any: Type.Any() }) } }, () => 'taken')
    await app.listen({ host: '127.0.0.1', port: 0 })
  })
  after(() => app.close())

  const open = () =>
    connect(Number(new URL(app.listeningOrigin).port), '127.0.0.1').on('error', () => undefined)

  async function send(request: string): Promise<string> {
    const socket = open()
    socket.write(request)
    return await text(socket)
  }

  const head = (...fields: string[]) =>
    ['GET /here HTTP/1.1', 'Host: a', 'Connection: close', ...fields, '', ''].join('\r\n')
  const fields = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: y`)

  it('for methods are refused by a problem, whatever is sent with them', async () => {
    // CONNECT asks for no resource: Node.js closes its connection.
    for (const method of METHODS.filter((name) => !['GET', 'HEAD', 'CONNECT'].includes(name))) {
      for (const [path, status] of [
        ['/here', 405],
        ['/nowhere', 404],
      ] as const) {
        for (const more of ['', 'Content-Length: 1\r\n', 'Content-Type: nonsense\r\nContent-Length: 1\r\n']) {
          const answer = await send(
            `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${more}\r\n${more === '' ? '' : '{'}`,
          )
          assert.match(
            answer,
            new RegExp(`^HTTP/1.1 ${status} [^]*application/problem\\+json`),
            `${method} ${path}`,
          )
          if (status === 405) assert.match(answer, /\r\nallow: GET, HEAD\r\n/i)
        }
      }
    }
    assert.match(await send('NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1.1 400 [^]*malformed-request/)
  })

  it('for the number and the size of header fields, and none is left out unseen', async () => {
    assert.match(await send(head(...fields(98))), /^HTTP\/1.1 200 /)
    for (const count of [99, 1500]) {
      assert.match(
        await send(head(...fields(count))),
        /^HTTP\/1.1 431 [^]*header-fields-too-large/,
        String(count),
      )
    }
    assert.match(
      await send(head(`X-Long: ${'x'.repeat(17_000)}`)),
      /^HTTP\/1.1 431 [^]*header-fields-too-large/,
    )
  })

  it('for the length of a URL', async () => {
    const get = (path: string) => send(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    assert.match(await get(`/here?${'x'.repeat(8000)}`), /^HTTP\/1.1 200 /)
    assert.match(await get(`/here?${'x'.repeat(8200)}`), /^HTTP\/1.1 414 [^]*uri-too-long/)
    assert.match(await get(`/${'x'.repeat(8200)}`), /^HTTP\/1.1 414 [^]*uri-too-long/)
    assert.match(await get(`/${'x'.repeat(20_000)}`), /^HTTP\/1.1 431 [^]*header-fields-too-large/)
  })

  it('for the time that a head takes, though it arrives all the while', async () => {
    const socket = open()
    const answer = text(socket)
    socket.write('GET /here HTTP/1.1\r\nHost: a\r\nX-Slow: ')
    for await (const _tick of ticks(20)) {
      if (!socket.writable) break
      socket.write('x')
    }
    assert.match(await answer, /^HTTP\/1.1 408 [^]*request-timeout/)
  })

  it('but not connections that are held in reserve, which have sent nothing that could take too long', async () => {
    const reserved = open()
    await once(reserved, 'connect')
    // It is older than the head that takes too long.
    assert.match(await send('GET /here HTTP/1.1\r\nHost: a\r\nX-Slow: '), /^HTTP\/1.1 408 /)
    const answer = text(reserved)
    reserved.write(head())
    assert.match(await answer, /^HTTP\/1.1 200 /)
  })

  it('for depth of JSON, which is no limit, as it takes no longer to read', async () => {
    const depth = 100_000
    const any = `${'['.repeat(depth)}${']'.repeat(depth)}`
    const answer = await fetch(`${app.listeningOrigin}/any`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"any":${any}}`,
    })
    assert.equal(answer.status, 200)
  })
})

describe('A connection on which nothing is sent', () => {
  it('is closed when it was idle for too long', { timeout: 30_000 }, async () => {
    await using app = createApp({
      ...{ logger: pino({ level: 'silent' }), dependencies: [] },
      ...{ headTimeoutMs: 200, idleTimeoutMs: 1000 },
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const begun = performance.now()
    const socket = connect(Number(new URL(app.listeningOrigin).port), '127.0.0.1')
    assert.equal(await text(socket), '')
    assert.ok(performance.now() - begun > 900)
  })
})

describe('Answers of a service', () => {
  it('tell browsers that they are no pages, be they refusals or not', async () => {
    await using app = createApp({ logger: pino({ level: 'silent' }), dependencies: [] })
    app.get('/here', () => 'here')
    app.get('/fails', () => {
      throw new Error('It fails.')
    })
    const many = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`x-${index}`, 'y']))
    for (const [url, status, headers] of [
      ['/here', 200, {}],
      ['/healthz', 200, {}],
      ['/fails', 500, {}],
      ['/nowhere', 404, {}],
      ['/here', 431, many],
    ] as const) {
      const answer = await app.inject({ url, headers })
      assert.equal(answer.statusCode, status)
      const { headers: told } = answer
      assert.equal(
        told['content-security-policy'],
        "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
      )
      assert.equal(told['x-content-type-options'], 'nosniff')
      assert.equal(told['x-frame-options'], 'DENY')
      assert.equal(told['referrer-policy'], 'no-referrer')
      assert.equal(told['cross-origin-resource-policy'], 'same-origin')
      assert.equal(told['strict-transport-security'], undefined)
      assert.equal(told['x-powered-by'], undefined)
    }
  })
})
