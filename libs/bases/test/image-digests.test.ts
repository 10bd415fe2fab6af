import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import type { Redis } from 'ioredis'
import { ImageDigests } from '../src/image-digests.ts'
import { parseImageReference } from '../src/image-reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('A reference to an image', () => {
  it('is taken apart as Docker does', () => {
    const parse = (text: string) => {
      const { registry, name, reference } = parseImageReference(text)
      return [registry, name, reference]
    }
    assert.deepEqual(parse('alpine'), ['registry-1.docker.io', 'library/alpine', 'latest'])
    assert.deepEqual(parse('team/app:1'), ['registry-1.docker.io', 'team/app', '1'])
    assert.deepEqual(parse('docker.io/library/alpine:3'), ['registry-1.docker.io', 'library/alpine', '3'])
    assert.deepEqual(parse('localhost/app'), ['localhost', 'app', 'latest'])
    assert.deepEqual(parse('host:5000/a/b:x'), ['host:5000', 'a/b', 'x'])
    assert.deepEqual(parse(`example.com/a:x@${digest}`), ['example.com', 'a', digest])
  })
})

describe('The digests of images', () => {
  const stack = new AsyncDisposableStack()
  let redis: Redis
  let registry: string
  let requests: string[]
  let answer: RequestListener
  let connections = 0
  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-digests-'))
    stack.defer(() => rm(directory, { recursive: true, force: true }))
    const onUnexpectedExit = (error: Error) => {
      throw error
    }
    const server = stack.use(await startRedisServer({ dataDirectory: directory, onUnexpectedExit }))
    redis = stack.adopt(
      openRedis(server.url, { patience: 'brief', name: 'test', onError: onUnexpectedExit }),
      closeRedis,
    )
    const http = createServer((request, response) => {
      requests.push(`${request.method ?? ''} ${request.url ?? ''}`)
      answer(request, response)
    }).listen(0, '127.0.0.1')
    http.on('connection', () => (connections += 1))
    await once(http, 'listening')
    stack.defer(() => {
      http.closeAllConnections()
      http.close()
    })
    registry = `127.0.0.1:${(http.address() as AddressInfo).port}`
  })
  after(() => stack.disposeAsync())
  beforeEach(async () => {
    requests = []
    await redis.flushall()
    answer = (_request, response) => response.setHeader('docker-content-digest', digest).end()
  })

  function digests(ttlSeconds = 600): ImageDigests {
    return stack.use(
      new ImageDigests({ redis, insecureRegistries: [registry], allowed: [], ttlSeconds, timeoutMs: 500 }),
    )
  }

  it('are asked of the registry once, and then known for a while', async () => {
    const reference = `${registry}/team/app:1`
    assert.equal(await digests().resolve(reference), digest)
    assert.equal(await digests().resolve(reference), digest)
    assert.deepEqual(requests, ['HEAD /v2/team/app/manifests/1'])
    const ttl = await redis.ttl(`edgesmith:image-digest:${reference}`)
    assert.ok(ttl > 590 && ttl <= 600, String(ttl))
    assert.equal(await digests().resolve(reference, { fresh: true }), digest)
    assert.equal(requests.length, 2)
  })

  it('come from a registry that wants a token of everybody', async () => {
    answer = (request, response) => {
      if (request.url?.startsWith('/token?')) response.end(JSON.stringify({ token: 'anybody' }))
      else if (request.headers.authorization === 'Bearer anybody')
        response.setHeader('docker-content-digest', digest).end()
      else {
        const challenge = `Bearer realm="http://${registry}/token",service="s",scope="repository:app:pull"`
        response.writeHead(401, { 'www-authenticate': challenge }).end()
      }
    }
    assert.equal(await digests().resolve(`${registry}/app:1`), digest)
    assert.equal(requests[1], 'GET /token?service=s&scope=repository%3Aapp%3Apull')
  })

  it('are asked of no private address that the operator does not list', async () => {
    const ask = async (allowed: string[]) => {
      await redis.flushall()
      const asking = stack.use(
        new ImageDigests({ redis, insecureRegistries: [], allowed, ttlSeconds: 1, timeoutMs: 500 }),
      )
      const before = connections
      // The registry here does not speak TLS.
      assert.equal(await asking.resolve(`${registry}/app:1`), undefined)
      return connections - before
    }
    assert.equal(await ask([]), 0)
    assert.equal(await ask([registry]), 1)
  })

  it('are not asked for when the reference carries one', async () => {
    assert.equal(await digests().resolve(`${registry}/app@${digest}`), digest)
    assert.deepEqual(requests, [])
  })

  it('tell images that have moved from those that nobody answers for', async () => {
    const images = ['same', 'moved', 'silent', 'missing'].map((name) => ({
      reference: `${registry}/${name}:1`,
      digest: name === 'moved' ? `sha256:${'b'.repeat(64)}` : digest,
    }))
    answer = (request, response) => {
      if (request.url?.includes('silent')) return
      if (request.url?.includes('missing')) response.writeHead(404).end()
      else response.setHeader('docker-content-digest', digest).end()
    }
    const { moved, unknown } = await digests().judge(images)
    assert.deepEqual(
      moved.map(({ reference }) => reference),
      [`${registry}/moved:1`],
    )
    assert.deepEqual(unknown, [`${registry}/silent:1`, `${registry}/missing:1`])
  })
})
