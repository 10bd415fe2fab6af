import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { ProblemError } from '@edgesmith/contract/problem'
import type { InjectOptions } from 'fastify'
import { Type } from 'typebox'
import { createApp } from '../src/app.ts'
import { createLogger } from '../src/lifecycle.ts'
import { ActiveRedactors } from '@edgesmith/redaction/active-redactors'
import { Redactor } from '@edgesmith/redaction/redactor'

const Body = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z]+$' }),
    size: Type.Integer({ minimum: 1 }),
    mode: Type.Optional(Type.Enum(['a', 'b'])),
    inner: Type.Optional(Type.Object({ 'a/b~c': Type.Boolean() }, { additionalProperties: false })),
  },
  { additionalProperties: false },
)

function makeApp(dependencies: Parameters<typeof createApp>[0]['dependencies'] = []) {
  const app = createApp({ logger: createLogger('test', 'silent'), dependencies })
  app.post(
    '/things',
    { schema: { body: Body, querystring: Type.Object({ n: Type.Integer({ default: 3 }) }) } },
    (request) => ({
      ...request.body,
      n: request.query.n,
    }),
  )
  app.get('/known', () => {
    throw new ProblemError('state-conflict', 'Not now.', { headers: { 'retry-after': '7' } })
  })
  app.get('/items/:id', () => 'item')
  app.get('/unknown', () => {
    throw new Error('a secret of the implementation')
  })
  return app
}

describe('createApp', () => {
  it('answers every fault of a body with its JSON Pointer', async () => {
    await using app = makeApp()
    const response = await app.inject({
      method: 'POST',
      url: '/things',
      body: { name: 'A', mode: 'c', extra: 1, inner: { 'x/y~z': 1 } },
    })
    assert.equal(response.statusCode, 422)
    assert.equal(response.headers['content-type'], 'application/problem+json')
    const problem = response.json<{ type: string; errors: { code: string; pointer: string }[] }>()
    assert.equal(problem.type, 'urn:edgesmith:problem:invalid-body')
    assert.deepEqual(
      new Set(problem.errors.map(({ code, pointer }) => `${code} ${pointer}`)),
      new Set([
        'schema.missing-field /size',
        'schema.unknown-field /extra',
        'schema.pattern /name',
        'schema.not-allowed /mode',
        'schema.missing-field /inner/a~1b~0c',
        'schema.unknown-field /inner/x~1y~0z',
      ]),
    )
  })

  it('takes bodies as they are and converts parameters', async () => {
    await using app = makeApp()
    const wrong = await app.inject({ method: 'POST', url: '/things', body: { name: 'a', size: '5' } })
    assert.equal(wrong.statusCode, 422)
    const right = await app.inject({ method: 'POST', url: '/things?n=4', body: { name: 'a', size: 5 } })
    assert.deepEqual(right.json(), { name: 'a', size: 5, n: 4 })
    const parameter = await app.inject({ method: 'POST', url: '/things?n=x', body: { name: 'a', size: 5 } })
    assert.equal(parameter.statusCode, 400)
    assert.equal(parameter.json<{ type: string }>().type, 'urn:edgesmith:problem:invalid-parameter')
  })

  it('maps what is thrown to one problem, and tells nothing of the unexpected', async () => {
    await using app = makeApp()
    const cases: [InjectOptions, number, string][] = [
      [{ method: 'GET', url: '/known' }, 409, 'state-conflict'],
      [{ method: 'GET', url: '/unknown' }, 500, 'internal'],
      [{ method: 'GET', url: '/nowhere' }, 404, 'not-found'],
      [{ method: 'DELETE', url: '/known' }, 405, 'method-not-allowed'],
      [{ method: 'PUT', url: '/items/7' }, 405, 'method-not-allowed'],
      [
        { method: 'POST', url: '/things', headers: { 'content-type': 'application/json' }, body: '{' },
        400,
        'malformed-request',
      ],
      [
        { method: 'POST', url: '/things', headers: { 'content-type': 'text/html' }, body: 'x' },
        415,
        'unsupported-media-type',
      ],
      [
        {
          method: 'POST',
          url: '/things',
          headers: { 'content-type': 'application/json' },
          body: `"${'x'.repeat(1 << 20)}"`,
        },
        413,
        'content-too-large',
      ],
    ]
    for (const [request, status, code] of cases) {
      const response = await app.inject(request)
      const problem = response.json<{ type: string; status: number; instance: string }>()
      assert.deepEqual(
        [response.statusCode, problem.status, problem.type],
        [status, status, `urn:edgesmith:problem:${code}`],
      )
      assert.match(problem.instance, /^urn:edgesmith:request:/)
      assert.doesNotMatch(response.body, /a secret of the implementation/)
    }
    assert.equal((await app.inject('/known')).headers['retry-after'], '7')
    assert.equal((await app.inject({ method: 'DELETE', url: '/known' })).headers.allow, 'GET, HEAD')
  })

  it('is ready when its dependencies are, and alive in any case', async () => {
    await using app = makeApp([
      { name: 'up', check: () => Promise.resolve() },
      { name: 'down', check: () => Promise.reject(new Error('no answer')) },
    ])
    const readiness = await app.inject('/readyz')
    assert.equal(readiness.statusCode, 503)
    assert.deepEqual(readiness.json(), {
      status: 'unready',
      dependencies: { up: 'ok', down: 'Error: no answer' },
    })
    assert.equal((await app.inject('/healthz')).statusCode, 200)
    await using healthy = makeApp([{ name: 'up', check: () => Promise.resolve() }])
    assert.equal((await healthy.inject('/readyz')).statusCode, 200)
  })

  it('answers what is not HTTP, or has headers beyond all bounds, with a problem', async () => {
    await using app = makeApp()
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    for (const [request, status, code] of [
      ['nonsense\r\n\r\n', 400, 'malformed-request'],
      [`GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${'x'.repeat(1 << 20)}\r\n\r\n`, 431, 'header-fields-too-large'],
    ] as const) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(request)
      const answer = await text(socket)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
      assert.match(answer, new RegExp(`urn:edgesmith:problem:${code}`))
    }
  })

  it('logs each request in one line, without the signature of its URL', async () => {
    const lines: string[] = []
    const logger = createLogger('test', 'info', { destination: { write: (line) => lines.push(line) } })
    await using app = createApp({ logger, dependencies: [] })
    app.get('/download', () => 'bytes')
    await app.inject('/download?expires=7&signature=a-secret&x=1')
    type Line = { req: { method: string; url: string }; res: { statusCode: number }; responseTime: number }
    const logged = lines.map((line) => JSON.parse(line) as Line)
    assert.deepEqual(
      logged.map(({ req, res }) => [req.method, req.url, res.statusCode]),
      [['GET', '/download?expires=7&signature=***&x=1', 200]],
    )
    assert.ok((logged[0]?.responseTime ?? -1) >= 0)
    assert.doesNotMatch(lines.join(''), /a-secret/)
  })

  it('leaves credentials out of its log, wherever in a line they are', async () => {
    const lines: string[] = []
    const redactors = new ActiveRedactors()
    const logger = createLogger('test', 'debug', {
      destination: { write: (line) => lines.push(line) },
      redactors,
    })
    await using app = createApp({ logger, dependencies: [] })
    app.get('/fails', (request) => {
      request.log.warn({ headers: request.headers }, `asked by ${request.headers.authorization ?? ''}`)
      throw new Error('redis://:canary-url@redis:6379 does not answer', {
        cause: new Error('esk_1_canary-cause-key'),
      })
    })
    const active = redactors.use(new Redactor(['canary-active']))
    await app.inject({
      url: '/fails?signature=canary-signature&q=canary-active',
      headers: { authorization: 'Bearer esk_01abc_canary-header-key', 'x-api-key': 'canary-api-key' },
    })
    await app.inject('/nowhere?signature=canary-signature')
    assert.match(lines.join(''), /esk_01abc_\*\*\*|authorization":"\*\*\*"/)
    assert.doesNotMatch(lines.join(''), /canary/)
    active[Symbol.dispose]()
    logger.info('canary-active')
    assert.match(lines.at(-1) ?? '', /canary-active/)
  })
})
