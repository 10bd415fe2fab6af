import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, afterEach, before, describe, it } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import type { Problem } from '@edgesmith/contract/problem'
import type { ResumableUpload } from '@edgesmith/contract/upload'
import { openRedis, closeRedis } from '@edgesmith/builds/redis-connection'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { findUpload } from '@edgesmith/uploads/uploads'
import { Upload } from 'tus-js-client'
import { asOperator, fetch } from '../../../test/support/as-operator.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { removeExpired } from '../src/resumable/expiry.ts'
import { RedisLocker } from '../src/resumable/redis-locker.ts'
import { keysOf, startGround, type GatewayProcess, type Ground } from './gateway-process.ts'
import { append, appendAndCut, beginUpload, offsetOf, tusRequest, type Answer } from './tus-client.ts'

const MiB = 1024 * 1024
const content = Buffer.from('ARCH=amd64\nISO_NAME=installer\n')
const digest = (bytes: Buffer, algorithm = 'sha256') => createHash(algorithm).update(bytes).digest()
const idOf = (bytes: Buffer) => `sha256:${digest(bytes).toString('hex')}`
const base64 = (value: string | Buffer) => Buffer.from(value).toString('base64')

describe('resumable uploads', () => {
  let ground: Ground
  let gateway: GatewayProcess
  let other: GatewayProcess
  before(async () => {
    ground = await startGround('directory')
    gateway = await ground.startGateway({ UPLOAD_LIMIT_BYTES: String(64 * MiB) })
    other = await ground.startGateway({ UPLOAD_LIMIT_BYTES: String(64 * MiB) })
  })
  after(async () => {
    await gateway[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    await ground[Symbol.asyncDispose]()
  })
  afterEach(async () => {
    for (const key of await keysOf(ground.whole)) await ground.whole.remove(key)
  })

  const tell = async (url: string) => (await (await fetch(url)).json()) as ResumableUpload
  /** The same upload at the other gateway. */
  const elsewhere = (url: string) => new URL(new URL(url).pathname, other.url).href

  it('serves a client of the protocol', async () => {
    const bytes = zstdCompressSync(randomBytes(20 * MiB))
    let url = ''
    await new Promise<void>((resolve, reject) => {
      const upload = new Upload(bytes, {
        endpoint: `${gateway.url}/v1/uploads/resumable`,
        chunkSize: 3 * MiB,
        headers: asOperator,
        retryDelays: [0],
        metadata: { filename: 'core.tar.zst', filetype: 'application/zstd' },
        onSuccess: () => {
          resolve()
        },
        onError: reject,
        onUploadUrlAvailable: () => {
          url = upload.url ?? ''
        },
      })
      upload.start()
    })
    const told = await tell(url)
    assert.equal(told.state, 'complete')
    assert.deepEqual([told.upload?.id, told.upload?.fileName], [idOf(bytes), 'core.tar.zst'])
    const stored = await fetch(`${gateway.url}/v1/uploads/${idOf(bytes)}`)
    assert.deepEqual(await stored.json(), told.upload)
  })

  it('tells what it speaks', async () => {
    const { status, headers } = await tusRequest('OPTIONS', `${gateway.url}/v1/uploads/resumable`)
    assert.equal(status, 204)
    assert.equal(headers['tus-version'], '1.0.0')
    assert.equal(headers['tus-extension'], 'creation,creation-with-upload,expiration,termination,checksum')
    assert.equal(headers['tus-max-size'], String(64 * MiB))
    assert.equal(headers['tus-checksum-algorithm'], 'sha1,sha256,sha512')
    assert.equal(headers['access-control-allow-origin'], undefined)
  })

  it('takes a file in pieces, at one gateway and another', async () => {
    const url = await beginUpload(gateway.url, content.length, {
      'upload-metadata': `filename ${base64('.hidden')},note ${base64('x')}`,
    })
    const first = await append(url, 0, content.subarray(0, 7))
    assert.deepEqual([first.status, first.headers['upload-offset']], [204, '7'])
    assert.ok(Date.parse(String(first.headers['upload-expires'])) > Date.now())
    assert.equal(await offsetOf(elsewhere(url)), 7)
    const { state, offset, size } = await tell(elsewhere(url))
    assert.deepEqual([state, offset, size], ['receiving', 7, content.length])
    const last = await append(elsewhere(url), 7, content.subarray(7))
    assert.deepEqual([last.status, last.headers['upload-content-id']], [204, idOf(content)])
    const head = await tusRequest('HEAD', url)
    assert.equal(head.headers['upload-content-id'], idOf(content))
    assert.equal(head.headers['cache-control'], 'no-store')
    const found = await findUpload(ground.store, idOf(content))
    assert.deepEqual([found?.upload.kind, found?.upload.fileName], ['text', undefined])
  })

  it('takes the bytes with the request that begins the upload', async () => {
    const begun = await tusRequest(
      'POST',
      `${gateway.url}/v1/uploads/resumable`,
      { 'upload-length': content.length, 'upload-checksum': `sha1 ${base64(digest(content, 'sha1'))}` },
      content,
    )
    assert.deepEqual([begun.status, begun.headers['upload-content-id']], [201, idOf(content)])
  })

  it('keeps one object of content that is there already', async () => {
    const sent = await fetch(`${gateway.url}/v1/uploads`, { method: 'POST', body: content })
    assert.equal(sent.status, 201)
    const keys = await keysOf(ground.whole)
    const url = await beginUpload(gateway.url, content.length)
    await append(url, 0, content)
    assert.deepEqual((await tell(url)).upload, await sent.json())
    assert.equal((await tusRequest('DELETE', url)).status, 204)
    assert.deepEqual(await keysOf(ground.whole), keys)
  })

  it('keeps what came before a cut, where the next gateway finds it', async () => {
    const bytes = randomBytes(20 * MiB)
    const url = await beginUpload(gateway.url, bytes.length)
    await appendAndCut(url, 0, bytes, 10 * MiB)
    const offset = await offsetOf(elsewhere(url))
    assert.equal(offset, 10 * MiB)
    const answer = await append(elsewhere(url), offset, bytes.subarray(offset))
    assert.equal(answer.headers['upload-content-id'], idOf(bytes))
  })

  it('lets a client that comes back take over from its dead connection', async () => {
    const bytes = randomBytes(20 * MiB)
    const url = await beginUpload(gateway.url, bytes.length)
    let resumed: Answer | undefined
    await appendAndCut(url, 0, bytes, 9 * MiB, async () => {
      // The first connection is still open, and silent.
      const offset = await offsetOf(elsewhere(url))
      resumed = await append(elsewhere(url), offset, bytes.subarray(offset))
    })
    assert.deepEqual([resumed?.status, resumed?.headers['upload-content-id']], [204, idOf(bytes)])
  })

  it('gives up an upload', async () => {
    const url = await beginUpload(gateway.url, 30 * MiB)
    await append(url, 0, randomBytes(9 * MiB))
    assert.equal((await tusRequest('DELETE', url)).status, 204)
    assert.deepEqual(await keysOf(ground.whole), [])
    assert.equal((await tusRequest('HEAD', url)).status, 404)
  })

  it('removes a file that turns out to be broken', async () => {
    const broken = zstdCompressSync(randomBytes(9 * MiB)).subarray(0, -1)
    const url = await beginUpload(gateway.url, broken.length)
    await append(url, 0, broken.subarray(0, 5 * MiB))
    const answer = await append(url, 5 * MiB, broken.subarray(5 * MiB))
    assertProblem(answer, 422, 'corrupt-file')
    assert.equal((JSON.parse(answer.body) as Problem).errors?.[0]?.code, 'zstd.truncated')
    assert.deepEqual(await keysOf(ground.whole), [])
  })

  it('removes a file that is not what its digest says', async () => {
    const url = await beginUpload(gateway.url, content.length, {
      'repr-digest': `sha-512=:${base64(digest(Buffer.from('other'), 'sha512'))}:`,
    })
    assertProblem(await append(url, 0, content), 422, 'digest-mismatch')
    assert.deepEqual(await keysOf(ground.whole), [])
    const sound = await beginUpload(gateway.url, content.length, {
      'repr-digest': `sha-512=:${base64(digest(content, 'sha512'))}:`,
    })
    assert.equal((await append(sound, 0, content)).status, 204)
  })

  it('keeps none of the bytes that do not have their checksum', async () => {
    const bytes = randomBytes(18 * MiB)
    const url = await beginUpload(gateway.url, bytes.length)
    await append(url, 0, bytes.subarray(0, 5))
    const rest = bytes.subarray(5)
    for (const [header, value, status, code] of [
      ['upload-checksum', `sha1 ${base64(digest(bytes, 'sha1'))}`, 460, 'checksum-mismatch'],
      ['content-digest', `sha-256=:${base64(digest(bytes))}:`, 422, 'digest-mismatch'],
    ] as const) {
      assertProblem(await append(url, 5, rest, { [header]: value }), status, code)
      assert.equal(await offsetOf(url), 5)
    }
    const answer = await append(url, 5, rest, { 'upload-checksum': `sha256 ${base64(digest(rest))}` })
    assert.deepEqual([answer.status, answer.headers['upload-content-id']], [204, idOf(bytes)])
  })

  it('forgets an upload when its time is over, at the next start too', async () => {
    const url = await beginUpload(gateway.url, 100)
    await append(url, 0, content)
    await using redis = new AsyncDisposableStack()
    const connection = redis.adopt(
      openRedis(ground.redisUrl, { patience: 'brief', name: 'test', onError: () => undefined }),
      closeRedis,
    )
    const locker = new RedisLocker(connection, ownProject, { patienceMs: 0 })
    const { whole } = ground
    const common = { stores: new ProjectStores(whole), redis: connection, limits: { limitBytes: 1000 } }
    assert.equal(await removeExpired({ ...common, ttlMs: 60_000 }), 0)
    // One that a request works on is left for the next time.
    const lock = locker.newLock(new URL(url).pathname.split('/').at(-1) ?? '')
    await lock.lock(AbortSignal.timeout(1000), () => undefined)
    assert.equal(await removeExpired({ ...common, ttlMs: -1 }), 0)
    await lock.unlock()
    assert.equal(await removeExpired({ ...common, ttlMs: -1 }), 1)
    assert.deepEqual(await keysOf(whole), [])

    const short = await beginUpload(gateway.url, 100)
    await using brief = await ground.startGateway({ RESUMABLE_UPLOAD_TTL_SECONDS: '1' })
    const there = new URL(new URL(short).pathname, brief.url).href
    while ((await tusRequest('HEAD', there)).status === 200);
    assert.ok([404, 410].includes((await tusRequest('HEAD', there)).status))
    await using _restarted = await ground.startGateway({ RESUMABLE_UPLOAD_TTL_SECONDS: '1' })
    while ((await keysOf(whole)).length > 0);
  })

  const create = (headers: Record<string, string | number>) => (url: string) =>
    tusRequest('POST', `${url}/v1/uploads/resumable`, headers)
  const missing = '/v1/uploads/resumable/5d2f1c0e-6a94-4f0e-9d7e-0f3a1b2c4d5e'
  const refused: [string, (url: string) => Promise<Answer>, number, string][] = [
    [
      'another version',
      create({ 'tus-resumable': '0.2.2', 'upload-length': 5 }),
      412,
      'unsupported-tus-version',
    ],
    [
      'no version',
      (url) => tusRequest('PATCH', url + missing, { 'tus-resumable': '' }, content),
      412,
      'unsupported-tus-version',
    ],
    ['no length', create({}), 400, 'invalid-parameter'],
    ['a length that is none', create({ 'upload-length': '5e1' }), 400, 'invalid-parameter'],
    ['a length to be told later', create({ 'upload-defer-length': 1 }), 400, 'invalid-parameter'],
    ['nothing', create({ 'upload-length': 0 }), 422, 'empty-file'],
    ['a length beyond the limit', create({ 'upload-length': 64 * MiB + 1 }), 413, 'content-too-large'],
    ['bad metadata', create({ 'upload-length': 5, 'upload-metadata': 'a b c' }), 400, 'invalid-parameter'],
    ['a bad digest', create({ 'upload-length': 5, 'repr-digest': 'sha-256=x' }), 400, 'invalid-parameter'],
    [
      'a bad checksum',
      create({ 'upload-length': 5, 'upload-checksum': 'crc32 AAAA' }),
      400,
      'invalid-parameter',
    ],
    [
      'parts of uploads',
      create({ 'upload-length': 5, 'upload-concat': 'partial' }),
      400,
      'malformed-request',
    ],
    [
      'an id that is none',
      (url) => append(`${url}/v1/uploads/resumable/x`, 0, content),
      400,
      'invalid-parameter',
    ],
    ['an upload that is not there', (url) => append(url + missing, 0, content), 404, 'upload-not-found'],
    ['to give up what is not there', (url) => tusRequest('DELETE', url + missing), 404, 'upload-not-found'],
    ['another method', (url) => tusRequest('PUT', url + missing), 405, 'method-not-allowed'],
  ]
  for (const [name, send, status, code] of refused) {
    it(`refuses ${name}: ${status} ${code}`, async () => {
      assertProblem(await send(gateway.url), status, code)
      assert.deepEqual(await keysOf(ground.whole), [])
    })
  }

  it('refuses bytes of another offset, of another type, and too many', async () => {
    const url = await beginUpload(gateway.url, content.length)
    assertProblem(await append(url, 3, content.subarray(3)), 409, 'upload-offset-conflict')
    assertProblem(
      await append(url, 0, content, { 'content-type': 'text/plain' }),
      415,
      'unsupported-media-type',
    )
    assertProblem(await append(url, 0, Buffer.concat([content, content])), 413, 'content-too-large')
    assertProblem(await tusRequest('PATCH', url, {}, content), 400, 'invalid-parameter')
    assert.equal(await offsetOf(url), 0)
  })

  it('asks for credentials', async () => {
    const url = `${gateway.url}/v1/uploads/resumable`
    for (const [method, target] of [
      ['OPTIONS', url],
      ['POST', url],
      ...['GET', 'HEAD', 'PATCH', 'DELETE'].map((name) => [name, gateway.url + missing]),
    ] as [string, string][]) {
      assert.equal((await tusRequest(method, target, { authorization: '' })).status, 401, method)
    }
  })

  it('is in the description of the API', async () => {
    const { paths } = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, unknown>>
    }
    assert.deepEqual(Object.keys(paths['/v1/uploads/resumable'] ?? {}).sort(), ['options', 'post'])
    const one = Object.keys(paths['/v1/uploads/resumable/{id}'] ?? {}).sort()
    assert.deepEqual(one, ['delete', 'get', 'head', 'patch'])
  })
})

function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.body)
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/)
  assert.equal((JSON.parse(answer.body) as Problem).type, `urn:edgesmith:problem:${code}`, answer.body)
}
