import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Build } from '@edgesmith/contract/build'
import type { Problem } from '@edgesmith/contract/problem'
import type { Secret } from '@edgesmith/contract/secret'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { request } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

const registry = {
  kind: 'registry',
  registry: 'harbor.example.com',
  username: 'robot',
  password: 'canary-password',
}
const base = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }
const spec = { canvos: { tag: 'v4.10.0' }, arguments: base }
const proxy = 'http://user:canary-proxy@proxy.example.com:3128'

describe('Secrets of the API', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness[Symbol.asyncDispose]())

  it('go in, are told of, and go, and are never told', async () => {
    const api = request(harness.url)
    const put = await api.put('/v1/secrets/harbor').send(registry).expect(201)
    assert.equal(put.headers['location'], '/v1/secrets/harbor')
    const again = await api.put('/v1/secrets/harbor').send(registry).expect(200)
    assert.notEqual((again.body as Secret).version, (put.body as Secret).version)
    const got = await api.get('/v1/secrets/harbor').expect(200)
    assert.deepEqual(got.body, again.body)
    const list = await api.get('/v1/secrets').expect(200)
    assert.deepEqual(list.body, { items: [again.body] })
    assert.doesNotMatch(JSON.stringify([put.body, got.body, list.body]), /canary|robot/)
    await api.delete('/v1/secrets/harbor').expect(204)
    for (const response of [await api.get('/v1/secrets/harbor'), await api.delete('/v1/secrets/harbor')]) {
      assert.equal(response.status, 404)
      assert.equal((response.body as Problem).type, 'urn:edgesmith:problem:secret-not-found')
    }
  })

  it('are refused without their values being told', async () => {
    const api = request(harness.url)
    for (const body of [
      { ...registry, password: 'canary' },
      { ...registry, password: 'canary with space' },
      { ...registry, registry: 'https://canary@harbor' },
      { kind: 'canary-kind', value: 'canary-value' },
      { kind: 'opaque', value: 'canary-value', more: 'canary-more' },
    ]) {
      const refused = await api.put('/v1/secrets/refused').send(body).expect(422)
      assert.doesNotMatch(JSON.stringify(refused.body), /canary/)
    }
    await api.put('/v1/secrets/No').send(registry).expect(400)
    await api.get('/v1/secrets/refused').expect(404)
  })

  it('are looked up when a build that names them is submitted', async () => {
    const api = request(harness.url)
    const secrets = { registries: ['absent'], earthly: { A: 'absent-too' } }
    const named = await api
      .post('/v1/builds')
      .send({ ...spec, secrets })
      .expect(422)
    assert.deepEqual(
      (named.body as Problem).errors
        ?.filter(({ code }) => code.startsWith('secrets.'))
        .map(({ code, pointer }) => [code, pointer]),
      [
        ['secrets.not-found', '/secrets/registries/0'],
        ['secrets.not-found', '/secrets/earthly/A'],
      ],
    )
    await api.put('/v1/secrets/present').send({ kind: 'opaque', value: 'canary-value' }).expect(201)
    const accepted = await api
      .post('/v1/builds')
      .send({ ...spec, secrets: { earthly: { A: 'present' } } })
      .expect(202)
    assert.deepEqual((accepted.body as Build).spec.secrets, { earthly: { A: 'present' } })
  })

  it('are refused as arguments; the password of a proxy is masked, and sealed for the builder', async () => {
    const api = request(harness.url)
    const refused = await api
      .post('/v1/builds')
      .send({
        ...spec,
        arguments: { ...base, BASE_IMAGE: 'https://u:canary-image@h/x', UBUNTU_PRO_KEY: 'canary-pro' },
      })
      .expect(422)
    const codes = (refused.body as Problem).errors?.map(({ code }) => code)
    assert.ok(
      codes?.includes('arguments.credential') === true && codes.includes('arguments.ubuntu-pro-key'),
      codes?.join(),
    )
    assert.doesNotMatch(JSON.stringify(refused.body), /canary/)

    const given = { ...spec, arguments: { ...base, HTTPS_PROXY: proxy } }
    const accepted = await api.post('/v1/builds').send(given).expect(202)
    const build = accepted.body as Build
    assert.match(
      build.arguments['HTTPS_PROXY'] ?? '',
      /^http:\/\/user:\*\*\*[0-9a-f]{16}@proxy\.example\.com:3128$/,
    )
    assert.equal(build.spec.arguments?.['HTTPS_PROXY'], 'http://user:***@proxy.example.com:3128')
    const seen = await api.get(`/v1/builds/${build.id}`).expect(200)
    const validated = await api.post('/v1/validations').send(given).expect(200)
    assert.doesNotMatch(JSON.stringify([accepted.body, seen.body, validated.body]), /canary|sealedArguments/)
    const redis = openRedis(harness.redisUrl, {
      patience: 'brief',
      name: 'test',
      onError: (error) => {
        throw error
      },
    })
    try {
      const record = await new BuildRepository(redis).get(build.id)
      assert.deepEqual(Object.keys(record.sealedArguments ?? {}), ['HTTPS_PROXY'])
      assert.doesNotMatch(JSON.stringify(record), /canary/)
    } finally {
      await closeRedis(redis)
    }
  })
})

describe('Secrets without a key', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ secretsKeys: [] })
  })
  after(() => harness[Symbol.asyncDispose]())

  it('are refused, and so is what needs one', async () => {
    const api = request(harness.url)
    const unavailable = [
      await api.put('/v1/secrets/harbor').send(registry),
      await api.post('/v1/builds').send({ ...spec, secrets: { registries: ['harbor'] } }),
      await api.post('/v1/builds').send({ ...spec, arguments: { ...base, HTTPS_PROXY: proxy } }),
    ]
    for (const { status, body } of unavailable) {
      assert.equal(status, 503)
      assert.equal((body as Problem).type, 'urn:edgesmith:problem:secrets-unavailable')
      assert.doesNotMatch(JSON.stringify(body), /canary/)
    }
    await api.get('/v1/secrets').expect(200, { items: [] })
    await api.post('/v1/builds').send(spec).expect(202)
  })
})
