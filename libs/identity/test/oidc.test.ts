import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { scopesOf, scopesOfRole, type Principal } from '@edgesmith/contract/access'
import { ProblemError } from '@edgesmith/contract/problem'
import { parseAllowance } from '@edgesmith/outgoing/address-policy'
import { Outgoing } from '@edgesmith/outgoing/outgoing'
import { ConfigurationError } from '@edgesmith/service/environment'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { Authenticator } from '../src/authenticator.ts'
import { findRule, type ClaimRule } from '../src/claim-rules.ts'
import { OidcIssuer, type IssuerTimes } from '../src/oidc-issuer.ts'
import { readIssuersFile, type OidcIssuerSettings } from '../src/oidc-settings.ts'
import { makeKey, nowSeconds, sign, startIssuer, type Issuer, type IssuerKey } from './issuer.ts'
import { startReplicas, type Replica } from './replicas.ts'

const rules: ClaimRule[] = [
  {
    when: { repository: 'acme/stores', ref: ['refs/heads/main', 'refs/tags/*'] },
    tenant: 'acme',
    project: 'stores',
    role: 'builder',
  },
  { when: { groups: 'edge-admins' }, tenant: 'acme', role: 'admin', scopes: ['builds:read', 'audit:read'] },
  { when: { repository: 'gone/gone' }, tenant: 'gone', role: 'viewer' },
  { when: { repository: 'acme/*' }, tenant: 'acme', role: 'viewer' },
]
const ofMain = { repository: 'acme/stores', ref: 'refs/heads/main' }

describe('Tokens of an OIDC issuer', () => {
  const stack = new AsyncDisposableStack()
  let replica: Replica
  let key: IssuerKey
  let other: IssuerKey

  before(async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-oidc-'))
    stack.defer(() => rm(directory, { recursive: true, force: true }))
    const store = await openDirectoryStore(path.join(directory, 'objects'))
    replica = stack.use(await startReplicas(path.join(directory, 'redis'), store)).first
    await replica.tenants.create({ id: 'acme', name: 'Acme' })
    await replica.tenants.addProject({ tenant: 'acme', project: 'stores' })
    key = await makeKey('first')
    other = await makeKey('other')
  })
  after(() => stack.disposeAsync())

  type Options = Partial<OidcIssuerSettings> & { times?: IssuerTimes; allow?: string[] }
  /** Lets tokens of an issuer in, which is called as the gateway calls it. */
  function openFor(
    issuer: Issuer,
    { times = {}, allow = [new URL(issuer.url).host], ...more }: Options = {},
  ) {
    const allowances = allow.map(parseAllowance).filter((allowance) => allowance !== undefined)
    // Any name stands for this machine.
    const resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }])
    const { fetch } = stack.use(new Outgoing({ allowances, resolve }))
    const settings: OidcIssuerSettings = {
      ...{ issuer: issuer.url, audience: 'edgesmith', algorithms: ['RS256'], clockToleranceSeconds: 30 },
      ...{ rules, ...more },
    }
    const issuers = [new OidcIssuer(settings, { fetch, ...times })]
    const authenticator = new Authenticator({ ...replica, issuers })
    return (token: string, headers = {}): Promise<Principal> =>
      authenticator.authenticate({ authorization: `Bearer ${token}`, ...headers })
  }
  const problem =
    (code: string, detail = /./) =>
    (error: unknown) => {
      assert.ok(error instanceof ProblemError, String(error))
      assert.deepEqual(error.code, code, error.message)
      assert.match(error.message, detail)
      if (code === 'unauthorized') {
        const challenge = 'Bearer realm="edgesmith", error="invalid_token"'
        assert.equal(error.headers['www-authenticate'], challenge)
      }
      if (code === 'upstream-unavailable') assert.equal(error.headers['retry-after'], '5')
      return true
    }

  it('are of whom their claims and the first rule that fits them say', async () => {
    await using issuer = await startIssuer(key)
    const letIn = openFor(issuer)
    const exp = nowSeconds() + 100
    const token = await sign(key, { iss: issuer.url, ...ofMain, exp })
    assert.deepEqual(await letIn(token), {
      ...{ subject: `oidc:${issuer.url}#repo:acme/stores`, name: 'repo:acme/stores' },
      ...{ tenant: 'acme', project: 'stores', everyProject: false, role: 'builder' },
      scopes: scopesOf('builder', { oneProject: true }),
      expiresAt: new Date(exp * 1000).toISOString(),
    })
    await assert.rejects(letIn(token, { 'edgesmith-project': 'default' }), problem('project-not-found'))

    const ofAdmin = await sign(key, {
      iss: issuer.url,
      aud: ['x', 'edgesmith'],
      groups: ['a', 'edge-admins'],
    })
    const admin = await letIn(ofAdmin, { 'edgesmith-project': 'stores' })
    assert.partialDeepStrictEqual(admin, { project: 'stores', everyProject: true, role: 'admin' })
    assert.deepEqual(admin.scopes, ['builds:read', 'audit:read'])
    assert.equal((await letIn(ofAdmin)).project, 'default')

    const branch = await letIn(await sign(key, { iss: issuer.url, ...ofMain, ref: 'refs/heads/x' }))
    assert.deepEqual([branch.role, branch.scopes], ['viewer', [...scopesOfRole.viewer]])
    const stranger = await sign(key, { iss: issuer.url, repository: 'mallory/stores' })
    await assert.rejects(letIn(stranger), problem('forbidden', /No rule lets repo:acme\/stores/))
    const gone = await sign(key, { iss: issuer.url, repository: 'gone/gone' })
    await assert.rejects(letIn(gone), problem('unauthorized', /tenant gone is gone/))
    const long = await sign(key, { iss: issuer.url, ...ofMain, sub: 'x'.repeat(501) })
    await assert.rejects(letIn(long), problem('unauthorized', /more than 500/))
  })

  describe('that are not for this service, or of nobody, are refused:', () => {
    let issuer: Issuer
    let letIn: ReturnType<typeof openFor>
    before(async () => {
      issuer = stack.use(await startIssuer(key))
      letIn = openFor(issuer)
    })
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = () => ({
      ...{ iss: issuer.url, aud: 'edgesmith', sub: 'x', exp: nowSeconds() + 300, ...ofMain },
    })
    const withHeader = async (header: object) =>
      `${encode(header)}.${(await sign(key, claims())).split('.').slice(1).join('.')}`
    const byHmac = (secret: string, header: object = {}) => {
      const signed = `${encode({ alg: 'HS256', kid: 'first', ...header })}.${encode(claims())}`
      return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
    }
    const refused: Record<string, [token: () => string | Promise<string>, detail: RegExp]> = {
      'of another audience': [() => sign(key, { ...claims(), aud: 'another' }), /"aud"/],
      'without an audience': [() => sign(key, { ...claims(), aud: undefined }), /"aud"/],
      'of another issuer': [
        () => sign(key, { ...claims(), iss: 'https://issuer.example.com' }),
        /of no issuer that is known/,
      ],
      'of no issuer': [() => sign(key, { ...claims(), iss: undefined }), /of no issuer that is known/],
      'with alg none': [() => `${encode({ alg: 'none' })}.${encode(claims())}.`, /"alg"/],
      'with alg none and a signature': [() => withHeader({ alg: 'none', kid: 'first' }), /"alg"/],
      'with the public key as an HMAC secret': [() => byHmac(key.pem), /"alg"/],
      'with the public JWK as an HMAC secret': [() => byHmac(JSON.stringify(key.jwk)), /"alg"/],
      'with an algorithm that is not allowed': [
        async () => sign(await makeKey('first', 'ES256'), claims()),
        /"alg"/,
      ],
      'with an algorithm of the same key that is not allowed': [
        () => withHeader({ alg: 'RS512', kid: 'first' }),
        /"alg"/,
      ],
      'that have expired': [() => sign(key, { ...claims(), exp: nowSeconds() - 31 }), /"exp"/],
      'that never expire': [() => sign(key, { ...claims(), exp: undefined }), /"exp"/],
      'that are not valid yet': [() => sign(key, { ...claims(), nbf: nowSeconds() + 60 }), /"nbf"/],
      'of nobody': [() => sign(key, { ...claims(), sub: undefined }), /"sub"/],
      'of an unknown key': [() => sign(other, claims()), /no applicable key/],
      'of another key by the name of the right one': [
        () => sign({ ...other, kid: 'first' }, claims()),
        /signature verification failed/,
      ],
      'with a key of their own': [
        () => sign(other, claims(), { jwk: other.jwk, kid: 'first' }),
        /signature verification failed/,
      ],
      'with the address of a key of their own': [
        () => sign(other, claims(), { jku: `${issuer.url}/others`, kid: 'first' }),
        /signature verification failed/,
      ],
      'with a header that has to be understood': [
        () => withHeader({ alg: 'RS256', kid: 'first', crit: ['x'], x: 1 }),
        /"x" is not recognized/,
      ],
      'whose claims were altered': [
        async () => {
          const [header = '', , signature = ''] = (await sign(key, claims())).split('.')
          return `${header}.${encode({ ...claims(), sub: 'mallory' })}.${signature}`
        },
        /signature verification failed/,
      ],
      'that are no tokens': [() => 'a.b.c', /no API key, and of no issuer/],
      'that only look like keys': [() => 'esk_x', /no such API key/],
    }
    for (const [which, [make, detail]] of Object.entries(refused)) {
      it(which, async () => {
        await assert.rejects(letIn(await make()), problem('unauthorized', detail))
      })
    }

    it('but not those that would have been a moment ago, or will be in one', async () => {
      await letIn(await sign(key, { ...claims(), exp: nowSeconds() - 10 }))
      await letIn(await sign(key, { ...claims(), nbf: nowSeconds() + 10 }))
      assert.ok(!issuer.asked.includes('/others'))
    })
  })

  it('are accepted by other algorithms where the settings say so', async () => {
    for (const alg of ['PS256', 'ES384', 'EdDSA'] as const) {
      const ofAlg = await makeKey('of-alg', alg)
      await using issuer = await startIssuer(ofAlg)
      const letIn = openFor(issuer, { algorithms: [alg] })
      await letIn(await sign(ofAlg, { iss: issuer.url, ...ofMain }))
    }
  })

  it('are judged by the keys that the issuer has now', async () => {
    await using issuer = await startIssuer(key)
    const letIn = openFor(issuer, { times: { cooldownMs: 0, keysMs: 1 } })
    const tokens = await Promise.all([key, other].map((one) => sign(one, { iss: issuer.url, ...ofMain })))
    const [ofFirst = '', ofOther = ''] = tokens
    await letIn(ofFirst)
    await assert.rejects(letIn(ofOther), problem('unauthorized'))
    issuer.keys = [key, other]
    await letIn(ofOther)
    await letIn(ofFirst)
    issuer.keys = [other]
    await letIn(ofOther)
    await assert.rejects(letIn(ofFirst), problem('unauthorized', /no applicable key/))
  })

  it('of unknown keys do not make the issuer be asked each time', async () => {
    await using issuer = await startIssuer(key)
    const letIn = openFor(issuer)
    const unknown = await sign(other, { iss: issuer.url, ...ofMain })
    for (let index = 0; index < 20; index += 1) {
      await assert.rejects(letIn(unknown), problem('unauthorized'))
    }
    assert.deepEqual(issuer.asked, ['/.well-known/openid-configuration', '/keys'])
    await letIn(await sign(key, { iss: issuer.url, ...ofMain }))
    assert.equal(issuer.asked.length, 2)
  })

  describe('of an issuer that does not answer as it should', () => {
    const failures: Record<string, RequestListener> = {
      'that fails': (_request, response) => response.writeHead(500).end(),
      'that cuts off': (request) => request.socket.destroy(),
      'that answers no JSON': (_request, response) => response.end('<html>'),
      'that answers something else': (_request, response) => response.end('{"keys": 7}'),
      'that answers without an end': (_request, response) => {
        const more = () => {
          if (!response.destroyed) response.write('x'.repeat(65_536), more)
        }
        more()
      },
    }
    for (const [which, answer] of Object.entries(failures)) {
      it(`${which} are neither let in nor called wrong, until it is back`, async () => {
        await using issuer = await startIssuer(key)
        const token = await sign(key, { iss: issuer.url, ...ofMain })
        // Its address is known, its keys cannot be had; and not even its address is known.
        for (const more of [{ jwksUri: `${issuer.url}/keys` }, {}]) {
          issuer.answer = answer
          const letIn = openFor(issuer, { ...more, times: { silenceMs: 0, cooldownMs: 0 } })
          await assert.rejects(letIn(token), problem('upstream-unavailable', /keys of the issuer/))
          issuer.answer = undefined
          await letIn(token)
        }
      })
    }

    it('are answered from what is known while there is something', async () => {
      const issuer = await startIssuer(key)
      const letIn = openFor(issuer)
      const token = await sign(key, { iss: issuer.url, ...ofMain })
      await letIn(token)
      await issuer[Symbol.asyncDispose]()
      await letIn(token)
    })

    it('are refused at once for a while, without asking it again', async () => {
      await using issuer = await startIssuer(key)
      issuer.answer = (_request, response) => response.writeHead(503).end()
      const letIn = openFor(issuer)
      const token = await sign(key, { iss: issuer.url, ...ofMain })
      for (let index = 0; index < 10; index += 1) {
        await assert.rejects(letIn(token), problem('upstream-unavailable'))
      }
      assert.equal(issuer.asked.length, 1)
    })

    it('are not judged by what calls itself another, nor by keys that anybody on the way could replace', async () => {
      await using issuer = await startIssuer(key)
      const token = await sign(key, { iss: issuer.url, ...ofMain })
      const { port } = new URL(issuer.url)
      const allow = [`127.0.0.1:${port}`, `keys.example.com:${port}`]
      for (const discovery of [
        { issuer: `${issuer.url}/` },
        { issuer: undefined },
        { jwks_uri: `http://keys.example.com:${port}/keys` },
        { jwks_uri: 7 },
      ]) {
        issuer.discovery = discovery
        await assert.rejects(openFor(issuer, { allow })(token), problem('upstream-unavailable'))
      }
      assert.ok(!issuer.asked.includes('/keys'))
    })
  })

  it('have only those addresses called that are public or allowed', async () => {
    await using issuer = await startIssuer(key)
    await using inside = await startIssuer(key)
    const token = await sign(key, { iss: issuer.url, ...ofMain })
    await assert.rejects(openFor(issuer, { allow: [] })(token), problem('upstream-unavailable'))
    assert.deepEqual(issuer.asked, [])
    // The issuer leads elsewhere, by its document and by a redirect.
    issuer.discovery = { jwks_uri: `${inside.url}/keys` }
    await assert.rejects(openFor(issuer)(token), problem('upstream-unavailable'))
    issuer.answer = (_request, response) => response.writeHead(302, { location: `${inside.url}/keys` }).end()
    await assert.rejects(
      openFor(issuer, { jwksUri: `${issuer.url}/keys` })(token),
      problem('upstream-unavailable'),
    )
    assert.deepEqual(inside.asked, [])
    issuer.answer = undefined
    const allow = [issuer, inside].map(({ url }) => new URL(url).host)
    await openFor(issuer, { allow })(token)
    assert.deepEqual(inside.asked, ['/keys'])
  })
})

describe('The rules of an issuer', () => {
  const fits = (when: ClaimRule['when'], claims: Record<string, unknown>) =>
    findRule([{ when, tenant: 'acme', role: 'viewer' }], claims) !== undefined

  it('compare claims to the letter, and to beginnings where they end in a star', () => {
    assert.ok(fits({ ref: 'refs/tags/*' }, { ref: 'refs/tags/v1' }))
    assert.ok(!fits({ ref: 'refs/tags/*' }, { ref: 'refs/heads/refs/tags/v1' }))
    assert.ok(!fits({ ref: 'refs/*/v1' }, { ref: 'refs/tags/v1' }))
    assert.ok(!fits({ repository: 'acme/stores' }, { repository: 'acme/stores-of-mallory' }))
    assert.ok(!fits({ repository: 'acme/stores' }, { repository: 'Acme/stores' }))
    assert.ok(fits({ ref_protected: 'true' }, { ref_protected: 'true' }))
    assert.ok(!fits({ ref_protected: 'true' }, { ref_protected: true }))
    assert.ok(fits({ admin: true, level: 3 }, { admin: true, level: 3 }))
    assert.ok(!fits({ admin: true, level: 3 }, { admin: true }))
    assert.ok(!fits({ constructor: 'x*' }, {}))
    assert.ok(!fits({ groups: '*' }, { groups: [] }))
    assert.ok(!fits({ groups: '*' }, { groups: [{}] }))
  })
})

describe('OIDC_ISSUERS_FILE', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-issuers-'))
  })
  after(() => rm(directory, { recursive: true }))
  async function read(content: string): Promise<OidcIssuerSettings[]> {
    const file = path.join(directory, 'issuers.json')
    await writeFile(file, content)
    return readIssuersFile(file)
  }
  const issuer = { issuer: 'https://issuer.example.com', audience: 'edgesmith', rules }
  const withOne = (more: object) => JSON.stringify({ issuers: [{ ...issuer, ...more }] })

  it('has the issuers, with what is left out', async () => {
    const [found] = await read(withOne({}))
    assert.deepEqual(found, { ...issuer, algorithms: ['RS256'], clockToleranceSeconds: 30 })
    await read(withOne({ issuer: 'http://127.0.0.1:8080' }))
  })

  const faults: [content: string, fault: RegExp][] = [
    ['{', /JSON/],
    ['{}', /issuers/],
    [withOne({ algorithms: ['HS256'] }), /\/issuers\/0\/algorithms/],
    [withOne({ algorithms: ['none'] }), /\/issuers\/0\/algorithms/],
    [withOne({ audience: undefined }), /audience/],
    [withOne({ issuer: 'http://issuer.example.com' }), /no HTTPS URL/],
    [withOne({ jwksUri: 'http://issuer.example.com/keys' }), /no HTTPS URL/],
    [withOne({ rules: [{ when: {}, tenant: 'acme', role: 'viewer' }] }), /\/issuers\/0\/rules\/0\/when/],
    [withOne({ rules: [{ tenant: 'acme', role: 'viewer' }] }), /when/],
    [withOne({ rules: [{ when: { sub: 'x' }, tenant: 'acme', role: 'root' }] }), /role/],
    [withOne({ unknown: 1 }), /unknown/],
    [JSON.stringify({ issuers: [issuer, issuer] }), /is there twice/],
  ]
  for (const [content, fault] of faults) {
    it(`has this fault told: ${fault.source}, of ${content.slice(0, 120)}`, async () => {
      await assert.rejects(read(content), (error) => {
        assert.ok(error instanceof ConfigurationError)
        assert.match(error.message, fault)
        assert.match(error.message, /OIDC_ISSUERS_FILE .*issuers\.json/)
        return true
      })
    })
  }

  it('is as it is documented', async () => {
    const documentation = await readFile(path.join(import.meta.dirname, '../../../docs/identity.md'), 'utf8')
    const [github, gitlab, ...more] = [...documentation.matchAll(/```json\n([^]*?)```/g)]
    assert.deepEqual(more, [])
    const of = async (block: RegExpExecArray | undefined, claims: Record<string, unknown>) => {
      const [found] = await read(block?.[1] ?? '')
      const rule = findRule(found?.rules ?? [], claims)
      return rule && `${rule.tenant}/${rule.project} ${rule.role}`
    }
    const onGithub = { repository: 'acme/stores', repository_owner: 'acme', ref: 'refs/heads/main' }
    assert.equal(await of(github, onGithub), 'acme/stores builder')
    assert.equal(await of(github, { ...onGithub, ref: 'refs/pull/1/merge' }), 'acme/stores viewer')
    assert.equal(await of(github, { ...onGithub, repository: 'm/m', repository_owner: 'm' }), undefined)
    const onGitlab = { project_path: 'acme/stores', ref_protected: 'true' }
    assert.equal(await of(gitlab, onGitlab), 'acme/stores builder')
    assert.equal(await of(gitlab, { ...onGitlab, ref_protected: 'false' }), undefined)
  })
})
