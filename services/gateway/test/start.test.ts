import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { newKeyText, formatKey } from '@edgesmith/identity/key-text'
import type { Principal } from '@edgesmith/contract/access'
import type { Problem } from '@edgesmith/contract/problem'
import { makeKey, sign, startIssuer } from '../../../libs/identity/test/issuer.ts'
import { fetchWith, operatorKey } from '../../../test/support/as-operator.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startGround, type Ground } from './gateway-process.ts'

const main = path.join(import.meta.dirname, '../src/main.ts')

describe('A gateway that starts', () => {
  const stack = new AsyncDisposableStack()
  let directory: string
  let ground: Ground
  let variables: Record<string, string>
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-start-'))
    stack.defer(() => rm(directory, { recursive: true }))
    ground = stack.use(await startGround('directory'))
    assert.equal(ground.objectStore.kind, 'directory')
    variables = {
      GATEWAY_PORT: '0',
      SERVICE_TLS_DIRECTORY: tlsDirectoryOf('gateway'),
      REDIS_URL: ground.redisUrl,
      OBJECT_STORE: 'directory',
      OBJECT_DIRECTORY: ground.objectStore.directory,
    }
  })
  after(() => stack.disposeAsync())

  /** What a gateway says that does not start, and how it ends. */
  async function failure(env: Record<string, string>): Promise<{ code: number | null; said: string }> {
    const all = { ...process.env, ...variables, ...env }
    const child = spawn(process.execPath, [main], { env: all, stdio: ['ignore', 'ignore', 'pipe'] })
    const closed = once(child, 'close') as Promise<[code: number | null]>
    const [[code], said] = await Promise.all([closed, text(child.stderr)])
    return { code, said }
  }
  async function written(name: string, content: string): Promise<string> {
    const file = path.join(directory, name)
    await writeFile(file, content)
    return file
  }

  it('refuses, with exit code 78, to listen where others reach it while it would let nobody in', async () => {
    const { code, said } = await failure({ GATEWAY_HOST: '0.0.0.0' })
    assert.equal(code, 78, said)
    assert.match(
      said,
      /GATEWAY_HOST is 0\.0\.0\.0, which other hosts can reach, and there are no credentials/,
    )
    // A key that was made before is enough.
    {
      await using gateway = await ground.startGateway()
      const headers = { 'content-type': 'application/json' }
      const asOperator = fetchWith({ authorization: `Bearer ${operatorKey}` })
      const body = JSON.stringify({ name: 'made before', role: 'operator' })
      const made = await asOperator(`${gateway.url}/v1/keys`, { method: 'POST', headers, body })
      assert.equal(made.status, 201)
    }
    await using open = await ground.startGateway({ GATEWAY_HOST: '0.0.0.0', BOOTSTRAP_API_KEY: undefined })
    assert.ok(open.url)
  })

  const faults: [env: () => Promise<Record<string, string>>, said: RegExp][] = [
    [() => Promise.resolve({ BOOTSTRAP_API_KEY: 'canary' }), /BOOTSTRAP_API_KEY is not esk_</],
    [
      async () => ({
        BOOTSTRAP_API_KEY: operatorKey,
        BOOTSTRAP_API_KEY_FILE: await written('key', 'canary'),
      }),
      /BOOTSTRAP_API_KEY and BOOTSTRAP_API_KEY_FILE are both set/,
    ],
    [
      async () => ({ BOOTSTRAP_API_KEY_FILE: await written('key', 'canary') }),
      /BOOTSTRAP_API_KEY_FILE .* is not/,
    ],
    [
      async () => ({ OIDC_ISSUERS_FILE: await written('issuers', '{"issuers": []}') }),
      /OIDC_ISSUERS_FILE .*issuers: \/issuers/,
    ],
    [
      () => Promise.resolve({ OUTGOING_ALLOW: '10.0.0.0/8,https://x.example.com' }),
      /OUTGOING_ALLOW has "https:\/\/x\.example\.com"/,
    ],
  ]
  for (const [env, told] of faults) {
    it(`ends with exit code 78 and says: ${told.source}`, async () => {
      const { code, said } = await failure(await env())
      assert.equal(code, 78, said)
      assert.match(said, told)
      assert.doesNotMatch(said, /canary/)
    })
  }

  it('lets tokens of its OIDC issuers in, and calls them where that is allowed', async () => {
    const key = await makeKey('one')
    await using issuer = await startIssuer(key)
    const rules = [{ when: { repository: 'acme/stores' }, tenant: 'default', role: 'builder' }]
    const content = { issuers: [{ issuer: issuer.url, audience: 'edgesmith', rules }] }
    const env = { OIDC_ISSUERS_FILE: await written('issuers.json', JSON.stringify(content)) }
    const token = await sign(key, { iss: issuer.url, repository: 'acme/stores' })
    const bearer = fetchWith({ authorization: `Bearer ${token}` })
    {
      await using gateway = await ground.startGateway(env)
      const refused = await bearer(`${gateway.url}/v1/whoami`)
      assert.equal(refused.status, 503)
      assert.equal(refused.headers.get('retry-after'), '5')
      assert.match(((await refused.json()) as Problem).type, /upstream-unavailable$/)
      assert.deepEqual(issuer.asked, [])
      assert.ok(gateway.log.some((line) => line.includes('OUTGOING_ALLOW')))
    }
    await using gateway = await ground.startGateway({ ...env, OUTGOING_ALLOW: new URL(issuer.url).host })
    const response = await bearer(`${gateway.url}/v1/whoami`)
    assert.equal(response.status, 200)
    const { subject, role } = (await response.json()) as Principal
    assert.deepEqual([subject, role], [`oidc:${issuer.url}#repo:acme/stores`, 'builder'])
    assert.ok(!gateway.log.some((line) => line.includes(token)))
    const keys = await bearer(`${gateway.url}/v1/keys`)
    assert.equal(keys.status, 403)
  })

  it('replaces its bootstrap key by another value', async () => {
    const texts = [formatKey(newKeyText()), formatKey(newKeyText())]
    const statuses = (url: string) =>
      Promise.all(
        texts.map(
          async (one) => (await fetchWith({ authorization: `Bearer ${one}` })(`${url}/v1/whoami`)).status,
        ),
      )
    for (const [index, expected] of [
      [0, [200, 401]],
      [1, [401, 200]],
    ] as const) {
      await using gateway = await ground.startGateway({ BOOTSTRAP_API_KEY: texts[index] ?? '' })
      assert.deepEqual(await statuses(gateway.url), expected)
    }
  })
})
