import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { Problem } from '@edgesmith/contract/problem'
import { request } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

const content = randomBytes(50_000)
const zstd = zstdCompressSync(content)
const sha256 = createHash('sha256').update(content).digest('base64')
const sha512 = createHash('sha512').update(content).digest('base64')
const other = createHash('sha256').update('other').digest('base64')

describe('checks of an upload', () => {
  let harness: Harness
  let api: ReturnType<typeof request>
  before(async () => {
    harness = await startHarness()
    api = request(harness.url)
  })
  after(() => harness[Symbol.asyncDispose]())

  const send = (bytes: Buffer, headers: Record<string, string> = {}) =>
    api.post('/v1/uploads').set('content-type', 'application/octet-stream').set(headers).send(bytes)

  const refused: [string, Buffer, Record<string, string>, number, string, string?][] = [
    ['a truncated Zstandard file', zstd.subarray(0, -1), {}, 422, 'corrupt-file', 'zstd.truncated'],
    ['a truncated gzip file', gzipSync(content).subarray(0, -1), {}, 422, 'corrupt-file', 'gzip.truncated'],
    ['another Content-Digest', content, { 'content-digest': `sha-256=:${other}:` }, 422, 'digest-mismatch'],
    ['another Repr-Digest', content, { 'repr-digest': `sha-256=:${other}:` }, 422, 'digest-mismatch'],
    [
      'one of two digests',
      content,
      { 'repr-digest': `sha-512=:${sha512}:, sha-256=:${other}:` },
      422,
      'digest-mismatch',
    ],
    [
      'a Content-Digest that is none',
      content,
      { 'content-digest': 'sha-256=1' },
      400,
      'invalid-parameter',
      'schema.pattern',
    ],
    [
      'only an old digest',
      content,
      { 'repr-digest': 'md5=:AAAA:' },
      400,
      'invalid-parameter',
      'schema.pattern',
    ],
  ]
  for (const [name, bytes, headers, status, type, fault] of refused) {
    it(`refuses ${name} and keeps nothing`, async () => {
      const response = await send(bytes, headers)
      const problem = response.body as Problem
      assert.deepEqual([response.status, problem.type], [status, `urn:edgesmith:problem:${type}`])
      assert.equal(problem.errors?.[0]?.code, fault)
      assert.deepEqual([await harness.keys(), await harness.incoming()], [[], []])
    })
  }

  it('refuses to be told the digest of a form', async () => {
    const response = await api
      .post('/v1/uploads')
      .set('content-digest', `sha-256=:${sha256}:`)
      .attach('file', content, 'core.bin')
    assert.deepEqual([response.status, await harness.keys()], [400, []])
  })

  it('tells which file of a build is broken, beside all other faults', async () => {
    const response = await api
      .post('/v1/builds')
      .attach('contentBundle', zstd.subarray(0, -1), 'core.tar.zst')
      .attach('userData', Buffer.alloc(0), 'user-data')
      .field('spec', '{"arguments":{"ARCH":"amd64"}}')
    const { errors = [] } = response.body as Problem
    assert.equal(response.status, 422)
    assert.deepEqual(errors.map(({ code, pointer, fileName }) => [code, pointer, fileName]).sort(), [
      ['input.empty-file', '/userData', undefined],
      ['zstd.truncated', '/contentBundle', 'core.tar.zst'],
    ])
    assert.deepEqual(await harness.keys(), [])
  })

  it('takes a file that has its digests', async () => {
    const response = await send(content, {
      'content-digest': `sha-512=:${sha512}:`,
      'repr-digest': `sha-256=:${sha256}:, md5=:AAAA:`,
    })
    assert.equal(response.status, 201, response.text)
    const { id } = response.body as { id: string }
    assert.equal(id, `sha256:${Buffer.from(sha256, 'base64').toString('hex')}`)
  })
})

describe('the quota', () => {
  it('refuses what there is no room for', async () => {
    await using harness = await startHarness({ uploadQuotaBytes: 60_000 })
    const send = (bytes: Buffer) =>
      request(harness.url).post('/v1/uploads').set('content-type', 'application/octet-stream').send(bytes)
    assert.equal((await send(content)).status, 201)
    const keys = await harness.keys()
    const refused = await send(randomBytes(20_000))
    assert.deepEqual(
      [refused.status, (refused.body as Problem).type],
      [507, 'urn:edgesmith:problem:quota-exceeded'],
    )
    assert.deepEqual(await harness.keys(), keys)
  })
})
