import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { pino } from 'pino'
import { guardRoutes, unauthorized } from '../src/access.ts'
import { createApp } from '../src/app.ts'
import { originFaults } from '../src/cross-origin.ts'

const portal = 'https://portal.example'

function makeApp(corsOrigins: readonly string[]) {
  const app = createApp({ logger: pino({ level: 'silent' }), dependencies: [], corsOrigins })
  void app.register((scope, _options, done) => {
    guardRoutes(scope, () => {
      throw unauthorized('Nobody is let in.')
    })
    scope.get('/guarded', { config: { scope: 'any' } }, () => 'guarded')
    scope.get('/open', { config: { scope: 'public' } }, () => 'open')
    scope.options('/described', { config: { scope: 'public' } }, () => 'described')
    done()
  })
  return app
}

const preflight = (origin: string, url = '/guarded') => ({
  method: 'OPTIONS' as const,
  url,
  headers: {
    origin,
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'authorization,x-anything',
  },
})

const corsHeaders = (headers: object) => Object.keys(headers).filter((name) => /^access-control-/.test(name))

describe('Pages of other origins', () => {
  it('are told nothing unless their origin is listed', async () => {
    await using app = makeApp([])
    for (const request of [preflight(portal), { url: '/open', headers: { origin: portal } }]) {
      assert.deepEqual(corsHeaders((await app.inject(request)).headers), [])
    }
    assert.equal((await app.inject(preflight(portal))).statusCode, 405)
  })

  it('may call the API where it is, without credentials that a browser has', async () => {
    await using app = makeApp([portal, 'http://localhost:3000'])
    const { statusCode, headers, body } = await app.inject(preflight(portal))
    assert.deepEqual([statusCode, body], [204, ''])
    assert.equal(headers['access-control-allow-origin'], portal)
    assert.equal(headers['access-control-allow-methods'], 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
    assert.match(String(headers['access-control-allow-headers']), /\bAuthorization\b/)
    assert.doesNotMatch(String(headers['access-control-allow-headers']), /anything|\*/)
    assert.equal(headers['access-control-max-age'], '600')
    assert.match(String(headers.vary), /Origin/)
    assert.equal(headers['access-control-allow-credentials'], undefined)
    // What is refused can be read as well.
    for (const url of ['/open', '/guarded', '/nowhere']) {
      const answer = await app.inject({ url, headers: { origin: portal } })
      assert.equal(answer.headers['access-control-allow-origin'], portal, url)
      assert.equal(answer.headers['access-control-allow-credentials'], undefined)
    }
  })

  const others = [
    'https://portal.example.evil',
    'https://evil-portal.example',
    'https://sub.portal.example',
    'http://portal.example',
    'https://portal.example:8443',
    'HTTPS://PORTAL.EXAMPLE',
    'null',
    '*',
    '',
  ]
  it('are compared exactly', async () => {
    await using app = makeApp([portal])
    for (const origin of others) {
      for (const request of [preflight(origin), { url: '/open', headers: { origin } }]) {
        const { headers } = await app.inject(request)
        assert.deepEqual(corsHeaders(headers), [], origin)
        assert.match(String(headers.vary), /Origin/)
      }
    }
  })

  it('leave OPTIONS as it is for all else', async () => {
    await using app = makeApp([portal])
    assert.equal((await app.inject({ method: 'OPTIONS', url: '/described' })).body, 'described')
    assert.equal((await app.inject({ method: 'OPTIONS', url: '/open' })).statusCode, 405)
    assert.equal((await app.inject({ method: 'OPTIONS', url: '/nowhere' })).statusCode, 404)
    assert.equal((await app.inject('/nowhere')).statusCode, 404)
  })

  it('may send and read all headers that the description of the API has', async () => {
    await using app = makeApp([portal])
    const { headers } = await app.inject(preflight(portal))
    const listed = (name: string) => String(headers[name]).toLowerCase().split(', ')
    const file = new URL('../../../openapi/openapi.json', import.meta.url)
    type Operation = {
      parameters?: { in: string; name: string }[]
      responses: Record<string, { headers?: Record<string, object> }>
    }
    const { paths } = JSON.parse(await readFile(file, 'utf8')) as {
      paths: Record<string, Record<string, Operation>>
    }
    const operations = Object.values(paths).flatMap((item) => Object.values(item))
    const sent = operations.flatMap(({ parameters = [] }) =>
      parameters.flatMap((parameter) => (parameter.in === 'header' ? [parameter.name.toLowerCase()] : [])),
    )
    const answered = operations.flatMap(({ responses }) =>
      Object.values(responses).flatMap((response) =>
        Object.keys(response.headers ?? {}).map((name) => name.toLowerCase()),
      ),
    )
    const allowed = listed('access-control-allow-headers')
    assert.deepEqual(
      sent.filter((name) => !allowed.includes(name)),
      [],
    )
    // Pages read this one without leave (Fetch, "CORS-safelisted response-header name").
    const readable = [...listed('access-control-expose-headers'), 'cache-control']
    assert.deepEqual(
      answered.filter((name) => !readable.includes(name)),
      [],
    )
  })

  it('have to be listed as browsers send them', () => {
    assert.deepEqual(originFaults('CORS_ORIGINS', [portal, 'http://[::1]:3000', 'http://localhost:3000']), [])
    for (const origin of [
      '*',
      'null',
      'portal.example',
      `${portal}/`,
      `${portal}:443`,
      'https://*.example.com',
      'file://',
    ]) {
      assert.match(originFaults('CORS_ORIGINS', [origin])[0] ?? '', /^CORS_ORIGINS has /, origin)
    }
  })
})
