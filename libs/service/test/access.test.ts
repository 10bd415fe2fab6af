import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { scopesOfRole, type Principal, type Role } from '@edgesmith/contract/access'
import { bearerToken, guardRoutes, unauthorized, type RouteScope } from '../src/access.ts'
import { createApp, type App } from '../src/app.ts'
import { createLogger } from '../src/lifecycle.ts'

/** An app whose bearer tokens are the names of roles. */
function makeApp(): App {
  const app = createApp({ logger: createLogger('test', 'silent'), dependencies: [] })
  guardRoutes(app, (headers): Principal => {
    const role = bearerToken(headers) as Role
    if (!Object.hasOwn(scopesOfRole, role)) throw unauthorized('There is no such role.')
    const project = { tenant: 'acme', project: 'default' }
    return { subject: `key:${role}`, name: role, ...project, role, scopes: [...scopesOfRole[role]] }
  })
  return app
}
function addRoute(app: App, url: string, scope?: RouteScope): void {
  app.get(url, { config: scope === undefined ? {} : { scope } }, ({ principal }) => principal.subject)
}
async function ask(app: App, url: string, token?: string) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const { statusCode, headers: answered, body } = await app.inject({ url, headers })
  return { status: statusCode, challenge: answered['www-authenticate'], body }
}

describe('guardRoutes', () => {
  it('makes an app fail at its start for each route that does not say what it asks for', async () => {
    await using app = makeApp()
    addRoute(app, '/told', 'builds:read')
    addRoute(app, '/forgotten')
    await app.register((scope: App, _options, done) => {
      scope.route({ method: ['PUT', 'DELETE'], url: '/inner', handler: () => 'x' })
      done()
    })
    await assert.rejects(
      async () => app.ready(),
      /^Error: Routes without config\.scope: (?!.*told)(?=.*GET \/forgotten)(?=.*PUT,DELETE \/inner)/,
    )
  })

  it('asks for credentials, and for the scope of the route', async () => {
    await using app = makeApp()
    addRoute(app, '/builds', 'builds:read')
    addRoute(app, '/keys', 'keys:write')
    addRoute(app, '/all', 'any')
    const realm = 'Bearer realm="edgesmith"'
    // RFC 6750, section 3: whoever sent no credentials is told of no error.
    assert.partialDeepStrictEqual(await ask(app, '/all'), { status: 401, challenge: realm })
    const wrong = await ask(app, '/all', 'nobody')
    assert.partialDeepStrictEqual(wrong, { status: 401, challenge: `${realm}, error="invalid_token"` })
    assert.partialDeepStrictEqual(await ask(app, '/all', 'viewer'), { status: 200, body: 'key:viewer' })
    assert.equal((await ask(app, '/builds', 'viewer')).status, 200)
    assert.equal((await ask(app, '/keys', 'admin')).status, 200)
    const refused = await ask(app, '/keys', 'viewer')
    const challenge = `${realm}, error="insufficient_scope", scope="keys:write"`
    assert.partialDeepStrictEqual(refused, { status: 403, challenge })
    assert.match(refused.body, /urn:edgesmith:problem:forbidden.*lack the scope keys:write/)
  })

  it('has no principal where nobody was asked for one', async () => {
    await using app = makeApp()
    addRoute(app, '/open', 'public')
    app.get('/health', { config: { scope: 'public' } }, () => 'fine')
    assert.equal((await ask(app, '/health')).status, 200)
    // A handler that takes a principal for granted fails, with credentials and without.
    assert.equal((await ask(app, '/open')).status, 500)
    assert.equal((await ask(app, '/open', 'operator')).status, 500)
    assert.equal((await ask(app, '/nowhere')).status, 404)
  })
})
