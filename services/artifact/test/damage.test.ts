import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { recordImage } from '@edgesmith/artifacts/artifacts'
import { baseKey, findBase, recordBase } from '@edgesmith/bases/base-store'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Problem } from '@edgesmith/contract/problem'
import type { VerificationReport } from '@edgesmith/contract/verification'
import { objectManifest } from '@edgesmith/manifest/manifest'
import type { CalledService } from '@edgesmith/service/lifecycle'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { openStore, type ObjectStoreConfig } from '@edgesmith/store/open-store'
import { projectPrefix } from '@edgesmith/store/project-stores'
import { v7 as uuidv7 } from 'uuid'
import { startMinio } from '../../../deploy/minio/server.ts'
import { asGateway, fetch } from '../../../test/support/as-gateway.ts'
import { ownProject, ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startArtifact } from '../src/service.ts'
import { buildId } from './images.ts'

const MiB = 1024 ** 2
const bytes = randomBytes(20 * MiB)
/** The byte that is changed. */
const damagedAt = 12 * MiB + 5

type Ground = AsyncDisposable & {
  readonly config: ObjectStoreConfig
  /** Where the bytes of an object are. */
  readonly fileOf: (key: string) => Promise<{ path: string; offset: number }>
}

/** Each store, and where it has the byte. */
const grounds: Record<string, (directory: string) => Promise<Ground>> = {
  directory: (directory) =>
    Promise.resolve({
      config: { kind: 'directory', directory },
      fileOf: (key) => Promise.resolve({ path: join(directory, '.objects', key), offset: damagedAt }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  MinIO: async (directory) => {
    const server = await startMinio({ dataDir: directory })
    const { endpoint, accessKey, secretKey } = server
    return {
      config: { kind: 'minio', endpoint, accessKey, secretKey, bucket: 'edgesmith' },
      fileOf: async (key) => {
        // Parts of 8 MiB are files of their own, with a sum of 32 bytes before each MiB.
        const object = join(directory, 'objects/edgesmith', key)
        const files = await readdir(object, { recursive: true, withFileTypes: true })
        const part = files.find(({ name }) => name === 'part.2')
        assert.ok(part !== undefined)
        return { path: join(part.parentPath, part.name), offset: damagedAt - 8 * MiB + 5 * 32 }
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  },
}

for (const [kind, openGround] of Object.entries(grounds)) {
  describe(`Artifacts whose stored bytes are damaged (${kind})`, { timeout: 120_000 }, () => {
    const resources = new AsyncDisposableStack()
    let store: ObjectStore
    let service: CalledService
    let artifact: Artifact
    let url: string
    const id = uuidv7()
    const layersKey = randomBytes(32).toString('hex')

    before(async () => {
      const directory = await mkdtemp(join(tmpdir(), 'edgesmith-damage-'))
      resources.defer(() => rm(directory, { recursive: true, force: true }))
      const ground = resources.use(await openGround(join(directory, 'store')))
      const whole = await openStore(ground.config)
      store = ownStore(whole)
      const key = baseKey.data(id)
      await store.put(key, bytes)
      const manifest = objectManifest(key, bytes.length)
      artifact = await recordImage(store, { id: randomUUID(), buildId, name: 'site.iso', manifest })
      await recordBase(store, {
        ...{ id, rootKey: randomBytes(32).toString('hex'), layersKey, buildId, manifest },
        ...{ createdAt: new Date().toISOString(), images: [], proof: [], unproved: [] },
      })
      service = resources.use(
        await startArtifact(
          {
            logLevel: 'silent',
            host: '127.0.0.1',
            port: 0,
            internal: { host: '127.0.0.1', port: 0 },
            serviceTlsDirectory: tlsDirectoryOf('artifact'),
            publicUrl: undefined,
            trustedProxies: [],
            signingKeys: ['k'.repeat(32)],
            objectStore: ground.config,
          },
          { store: whole },
        ),
      )
      const signed = await fetch(`${service.internalUrl}/v1/artifacts/${artifact.id}/download-url`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...asGateway },
        body: JSON.stringify({ ttlSeconds: 600 }),
      })
      url = ((await signed.json()) as { url: string }).url
      const { path, offset } = await ground.fileOf(`${projectPrefix(ownProject)}${key}`)
      await using file = await open(path, 'r+')
      const byte = Buffer.alloc(1)
      await file.read(byte, 0, 1, offset)
      byte.writeUInt8(byte.readUInt8() ^ 4)
      await file.write(byte, 0, 1, offset)
    })
    after(() => resources.disposeAsync())

    it('are broken off, and never whole', async () => {
      const answer = await globalThis.fetch(url)
      assert.equal(answer.status, 200)
      assert.ok(answer.body !== null)
      let received = 0
      await assert.rejects(async () => {
        for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
          assert.ok(bytes.subarray(received, received + chunk.length).equals(chunk))
          received += chunk.length
        }
      })
      assert.ok(received <= damagedAt, `${received} bytes came`)
    })

    it('are refused where the answer has not begun, and given where they are good', async () => {
      const bad = await globalThis.fetch(url, { headers: { range: `bytes=${damagedAt}-${damagedAt}` } })
      const problem = (await bad.json()) as Problem
      assert.deepEqual([bad.status, problem.type], [500, 'urn:edgesmith:problem:stored-bytes-damaged'])
      const good = await globalThis.fetch(url, { headers: { range: 'bytes=100-1000099' } })
      assert.equal(good.status, 206)
      assert.ok(bytes.subarray(100, 1_000_100).equals(Buffer.from(await good.arrayBuffer())))
    })

    it('are what a verification tells, and their base is no one’s base any more', async () => {
      await recordBase(store, {
        ...{ id, rootKey: randomBytes(32).toString('hex'), layersKey, buildId },
        manifest: objectManifest(baseKey.data(id), bytes.length),
        ...{ createdAt: new Date().toISOString(), images: [], proof: [], unproved: [] },
      })
      assert.equal((await findBase(store, layersKey))?.id, id)
      const answer = await fetch(`${service.internalUrl}/v1/artifacts/${artifact.id}/verify`, {
        method: 'POST',
      })
      assert.equal(answer.status, 200)
      const { ok, checks } = (await answer.json()) as VerificationReport
      assert.equal(ok, false)
      const objects = checks.find(({ name }) => name === 'objects')
      assert.equal(objects?.ok, false)
      assert.match(objects.detail, new RegExp(`${id}/data are damaged`))
      assert.equal(await findBase(store, layersKey), undefined)
    })
  })
}
