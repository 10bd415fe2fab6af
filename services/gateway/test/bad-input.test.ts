import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import type { Problem } from '@edgesmith/contract/problem'
import type { Response, Test } from 'supertest'
import { asOperator, operatorKey, request } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

const uploadLimitBytes = 100_000
const missing = `sha256:${'0'.repeat(64)}`
const validSpec = '{"arguments":{"ARCH":"amd64","OS_DISTRIBUTION":"ubuntu","OS_VERSION":"22.04"}}'

type Case = {
  name: string
  send: (api: ReturnType<typeof request>) => Test
  status: number
  type: string
  /** `code pointer` of each fault, in any order. */
  errors?: string[]
}

const json = (body: string) => (api: ReturnType<typeof request>) =>
  api.post('/v1/builds').set('content-type', 'application/json').send(body)

const cases: Case[] = [
  { name: 'a body that is not JSON', send: json('{'), status: 400, type: 'malformed-request' },
  {
    name: 'an unknown field',
    send: json('{"targett":"iso","canvos":{"tagg":"v4.9.36"}}'),
    status: 422,
    type: 'invalid-body',
    errors: ['schema.unknown-field /targett', 'schema.unknown-field /canvos/tagg'],
  },
  {
    name: 'wrong types',
    send: json('{"target":7,"labels":[],"timeoutSeconds":"60"}'),
    status: 422,
    type: 'invalid-body',
    errors: ['schema.not-allowed /target', 'schema.wrong-type /labels', 'schema.wrong-type /timeoutSeconds'],
  },
  {
    name: 'a body that is no object',
    send: json('[]'),
    status: 422,
    type: 'invalid-body',
    errors: ['schema.wrong-type '],
  },
  {
    name: 'no body',
    send: (api) => api.post('/v1/builds'),
    status: 422,
    type: 'invalid-body',
    errors: ['schema.wrong-type '],
  },
  {
    name: 'a spec that says nothing',
    send: (api) => api.post('/v1/builds').set('content-type', 'application/yaml').send('null\n'),
    status: 422,
    type: 'invalid-body',
    errors: ['schema.wrong-type '],
  },
  ...['', '; boundary=', '; boundary=""', '; charset=utf-8'].map((parameter) => ({
    name: `a form of the type multipart/form-data${parameter}`,
    send: (api: ReturnType<typeof request>) =>
      api.post('/v1/builds').set('content-type', `multipart/form-data${parameter}`).send('--x'),
    status: 400,
    type: 'malformed-request',
  })),
  {
    name: 'a part that is not the JSON it says it is',
    send: (api) => api.post('/v1/builds').field('spec', '{', { contentType: 'application/json' }),
    status: 400,
    type: 'malformed-request',
  },
  {
    name: 'a body of another media type',
    send: (api) => api.post('/v1/builds').set('content-type', 'application/xml').send('<spec/>'),
    status: 415,
    type: 'unsupported-media-type',
  },
  {
    name: 'a body beyond the limit',
    send: json(JSON.stringify({ labels: { a: 'x'.repeat(1_100_000) } })),
    status: 413,
    type: 'content-too-large',
  },
  {
    name: 'a tag that CanvOS does not have',
    send: json('{"canvos":{"tag":"v4.9.999"},"arguments":{"ARCH":"amd64"}}'),
    status: 422,
    type: 'invalid-input',
    errors: ['canvos.unknown-tag /canvos/tag'],
  },
  {
    name: 'uploads that are not there',
    send: json(
      JSON.stringify({
        arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
        inputs: { userData: { upload: missing }, contentBundles: [{ upload: missing }] },
      }),
    ),
    status: 422,
    type: 'invalid-input',
    errors: [
      'input.upload-not-found /inputs/userData/upload',
      'input.upload-not-found /inputs/contentBundles/0/upload',
    ],
  },
  {
    name: 'a form without a spec',
    send: (api) => api.post('/v1/builds').attach('userData', Buffer.from('#cloud-config\n'), 'user-data'),
    status: 422,
    type: 'invalid-body',
    errors: ['multipart.missing-part /spec'],
  },
  {
    name: 'a form with unknown, repeated, empty and badly named parts',
    send: (api) =>
      api
        .post('/v1/builds')
        .field('spec', validSpec)
        .attach('userdata', Buffer.from('x'), 'user-data')
        .attach('userData', Buffer.from('#cloud-config\n'), 'user-data')
        .attach('userData', Buffer.from('#cloud-config\n'), 'user-data')
        .attach('argFile', Buffer.alloc(0), '.arg')
        .attach('contentBundle', Buffer.from('x'), '$(reboot).zst'),
    status: 422,
    type: 'invalid-body',
    errors: [
      'multipart.unknown-part /userdata',
      'multipart.repeated-part /userData',
      'input.empty-file /argFile',
      'input.file-name /contentBundle',
    ],
  },
  {
    name: 'a spec in a form that is neither JSON nor YAML',
    send: (api) => api.post('/v1/builds').field('spec', 'a: [1,\nb: {'),
    status: 400,
    type: 'malformed-request',
  },
  {
    name: 'a part beyond the limit',
    send: (api) =>
      api
        .post('/v1/builds')
        .attach('userData', Buffer.from('#cloud-config\n'), 'user-data')
        .attach('contentBundle', Buffer.alloc(uploadLimitBytes + 1, 1), 'big.zst')
        .field('spec', validSpec),
    status: 413,
    type: 'content-too-large',
  },
  {
    name: 'faults of user-data, arguments and uploads, all at once',
    send: (api) =>
      api
        .post('/v1/builds')
        .field(
          'spec',
          JSON.stringify({ arguments: { ARCH: 'vax' }, inputs: { localUi: { upload: missing } } }),
        )
        .attach('userData', Buffer.from('a: b: c\n'), 'user-data'),
    status: 422,
    type: 'invalid-input',
  },
  {
    name: 'an upload without content',
    send: (api) => api.post('/v1/uploads').attach('file', Buffer.alloc(0), 'empty'),
    status: 422,
    type: 'empty-file',
  },
  {
    name: 'an upload without a body',
    send: (api) => api.post('/v1/uploads'),
    status: 422,
    type: 'empty-file',
  },
  {
    name: 'a form without a file',
    send: (api) => api.post('/v1/uploads').field('file', 'text'),
    status: 422,
    type: 'invalid-body',
    errors: ['multipart.missing-part /file'],
  },
  {
    name: 'an upload beyond the limit',
    send: (api) =>
      api
        .post('/v1/uploads')
        .set('content-type', 'application/octet-stream')
        .send(Buffer.alloc(uploadLimitBytes + 1, 1)),
    status: 413,
    type: 'content-too-large',
  },
  {
    name: 'a build that is not there',
    send: (api) => api.get('/v1/builds/01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'),
    status: 404,
    type: 'build-not-found',
  },
  {
    name: 'an id that is none',
    send: (api) => api.get('/v1/builds/latest'),
    status: 400,
    type: 'invalid-parameter',
    errors: ['schema.format /id'],
  },
  {
    name: 'a method that only a path with a parameter takes',
    send: (api) => api.get('/v1/uploads/resumable'),
    status: 405,
    type: 'method-not-allowed',
  },
  {
    name: 'an upload that is not there',
    send: (api) => api.get(`/v1/uploads/${missing}`),
    status: 404,
    type: 'upload-not-found',
  },
  {
    name: 'an artifact that is not there',
    send: (api) => api.get('/v1/artifacts/01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'),
    status: 404,
    type: 'artifact-not-found',
  },
  {
    name: 'an unknown filter',
    send: (api) => api.get('/v1/builds?status=queued'),
    status: 400,
    type: 'invalid-parameter',
    errors: ['schema.unknown-field /status'],
  },
  {
    name: 'a method that is not possible',
    send: (api) => api.delete('/v1/builds'),
    status: 405,
    type: 'method-not-allowed',
  },
  { name: 'a path that leads nowhere', send: (api) => api.get('/v2/builds'), status: 404, type: 'not-found' },
]

describe('bad input', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ uploadLimitBytes })
  })
  after(() => harness[Symbol.asyncDispose]())

  for (const { name, send, status, type, errors } of cases) {
    it(`${name}: ${status} ${type}`, async () => {
      const response: Response = await send(request(harness.url))
      const problem = response.body as Problem
      assert.deepEqual(
        [response.status, problem.type],
        [status, `urn:edgesmith:problem:${type}`],
        response.text,
      )
      assert.match(response.headers['content-type'] ?? '', /^application\/problem\+json/)
      if (errors !== undefined) {
        const found = (problem.errors ?? []).map(({ code, pointer }) => `${code} ${pointer ?? ''}`)
        assert.deepEqual(found.sort(), [...errors].sort())
      }
      assert.deepEqual(await harness.keys(), [], 'nothing is left in the object store')
      assert.deepEqual(await harness.incoming(), [], 'nothing is still being received')
      const listed = await request(harness.url).get('/v1/builds')
      assert.deepEqual(listed.body, { items: [] }, 'no build was made')
    })
  }

  it('a client that goes away in the middle of a file leaves nothing', async () => {
    const upload = httpRequest(`${harness.url}/v1/uploads`, {
      method: 'POST',
      headers: { ...asOperator, 'content-type': 'application/octet-stream', 'content-length': 50_000 },
    })
    upload.on('error', () => undefined)
    upload.write(Buffer.alloc(20_000))
    while ((await harness.incoming()).length === 0) await new Promise(setImmediate)
    upload.destroy()
    while ((await harness.incoming()).length > 0) await new Promise(setImmediate)
    assert.deepEqual(await harness.keys(), [])
    assert.equal((await request(harness.url).get('/readyz')).status, 200)
  })

  it('a form that is cut off leaves nothing', async () => {
    const { hostname, port } = new URL(harness.url)
    const socket = connect(Number(port), hostname)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(
      `POST /v1/builds HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${operatorKey}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 60000\r\n\r\n` +
        `--b\r\nContent-Disposition: form-data; name="contentBundle"; filename="a.zst"\r\n\r\n${'x'.repeat(20_000)}`,
    )
    while ((await harness.incoming()).length === 0) await new Promise(setImmediate)
    socket.destroy()
    await closed
    while ((await harness.incoming()).length > 0) await new Promise(setImmediate)
    assert.deepEqual(await harness.keys(), [])
  })
})
