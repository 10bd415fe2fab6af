import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import type { Artifact } from '@edgesmith/contract/artifact'
import { objectManifest, patchManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { openMinioStore } from '@edgesmith/store/minio-store'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import { startMinio } from '../../../deploy/minio/server.ts'
import {
  checksumLine,
  dataKey,
  findArtifact,
  imageKey,
  recordChecksum,
  recordImage,
  recordKey,
  removeArtifact,
  type StoredArtifact,
} from '../src/artifacts.ts'
import { checksumBytes, digestKey, knownSha256, sha256Of, withKnownDigest } from '../src/digest.ts'
import { isLeased } from '../src/lease.ts'
import { materializeArtifact } from '../src/materialize.ts'

const MiB = 1024 ** 2
const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'
const base = randomBytes(40 * MiB)

type OpenedStore = AsyncDisposable & {
  store: ObjectStore
  /** Bytes that went over the wire to or from the store; undefined where there is no wire. */
  transferred: () => number | undefined
}

async function requireStored(store: ObjectStore, { id }: Artifact): Promise<StoredArtifact> {
  const stored = await findArtifact(store, id)
  assert.ok(stored)
  return stored
}

function testArtifacts(name: string, open: () => Promise<OpenedStore>): void {
  describe(`images over a base in ${name}`, () => {
    let opened: OpenedStore
    let store: ObjectStore

    before(async () => {
      opened = await open()
      store = opened.store
      await store.put('bases/base/data', base)
    })
    after(() => opened[Symbol.asyncDispose]())

    /** An artifact as a stamp leaves it. */
    async function stamp(userData: Buffer): Promise<{ artifact: Artifact; bytes: Buffer }> {
      const object = `stamps/${createHash('sha256').update(userData).digest('hex')}`
      await store.put(object, userData)
      const bytes = Buffer.from(base)
      const patches = [
        { offset: 4096, extent: { object, offset: 0, length: 8 } },
        { offset: 20_000, extent: { object, offset: 0, length: 8 } },
        { offset: 20 * MiB, extent: { object, offset: 0, length: userData.length } },
        { offset: 20 * MiB + userData.length, extent: { length: 5000, zeros: true as const } },
      ]
      for (const { offset, extent } of patches) {
        if ('zeros' in extent) bytes.fill(0, offset, offset + extent.length)
        else userData.copy(bytes, offset, 0, extent.length)
      }
      const manifest = patchManifest(objectManifest('bases/base/data', base.length), patches)
      return { artifact: await recordImage(store, { buildId, name: 'site.iso', manifest }), bytes }
    }

    it('get their digest when it is asked for, once for all who ask, and keep their ETag', async () => {
      const { artifact, bytes } = await stamp(randomBytes(900))
      const stored = await requireStored(store, artifact)
      assert.equal(await knownSha256(store, stored), undefined)
      assert.deepEqual(await withKnownDigest(store, stored), artifact)
      let opens = 0
      const counted: Pick<ObjectStore, 'openRange'> = {
        openRange: (key, range) => {
          if (range.length > 10 * MiB) opens += 1
          return store.openRange(key, range)
        },
      }
      const expected = createHash('sha256').update(bytes).digest('hex')
      const asked = await Promise.all(Array.from({ length: 5 }, () => sha256Of(store, stored, counted)))
      assert.deepEqual(
        asked,
        Array.from({ length: 5 }, () => expected),
      )
      // The base before the user-data, and behind it.
      assert.equal(opens, 2)
      assert.equal(await sha256Of(store, stored, counted), expected)
      assert.equal(opens, 2)
      assert.deepEqual(await withKnownDigest(store, stored), { ...artifact, sha256: expected })
      assert.ok(await store.stat(digestKey(artifact.etag)))
    })

    it('are read one at a time, under a lease', async () => {
      const first = await stamp(randomBytes(902))
      const second = await stamp(randomBytes(903))
      const opened = { first: 0, second: 0 }
      let openNow = 0
      const watching = (which: 'first' | 'second', { id }: Artifact): Pick<ObjectStore, 'openRange'> => ({
        openRange: async (key, range) => {
          opened[which] += 1
          openNow += 1
          assert.ok(await isLeased(store, id, new Date()))
          if (which === 'second' && opened.second === 1)
            assert.deepEqual([opened.first > 2, openNow], [true, 1])
          const reader = await store.openRange(key, range)
          return {
            read: (into) => reader.read(into),
            [Symbol.asyncDispose]: async () => {
              await reader[Symbol.asyncDispose]()
              openNow -= 1
            },
          }
        },
      })
      const digests = [
        sha256Of(store, await requireStored(store, first.artifact), watching('first', first.artifact)),
        sha256Of(store, await requireStored(store, second.artifact), watching('second', second.artifact)),
      ]
      assert.deepEqual(
        await Promise.all(digests),
        [first, second].map(({ bytes }) => createHash('sha256').update(bytes).digest('hex')),
      )
      assert.ok(!(await isLeased(store, second.artifact.id, new Date())))

      const gone = await stamp(randomBytes(904))
      const stored = await requireStored(store, gone.artifact)
      await removeArtifact(store, gone.artifact.id)
      await assert.rejects(sha256Of(store, stored), NoSuchObject)
    })

    it('have a checksum whose size is known before its bytes are', async () => {
      const { artifact, bytes } = await stamp(randomBytes(901))
      const checksum = await recordChecksum(store, artifact)
      const { content } = await requireStored(store, checksum)
      assert.equal(content.kind, 'checksum')
      assert.equal(await knownSha256(store, await requireStored(store, artifact)), undefined)
      const line = await checksumBytes(store, content)
      assert.equal(
        line.toString(),
        checksumLine(createHash('sha256').update(bytes).digest('hex'), 'site.iso'),
      )
      assert.equal(line.length, checksum.size)
      await removeArtifact(store, artifact.id)
      await assert.rejects(checksumBytes(store, content), NoSuchObject)
    })

    it('become one object with the same bytes and ETag, most of it copied by the store', async () => {
      const { artifact, bytes } = await stamp(randomBytes(100_000))
      const before = opened.transferred()
      const materialized = await materializeArtifact(store, artifact.id)
      const transferred = opened.transferred()
      if (before !== undefined && transferred !== undefined) {
        // Parts have at least 5 MiB: two are read and sent again because of what is small.
        assert.ok(transferred - before < 25 * MiB, `${transferred - before} bytes`)
      }
      const manifest = objectManifest(imageKey(artifact.id), bytes.length)
      assert.deepEqual(materialized, { artifact, content: { kind: 'manifest', manifest } })
      assert.deepEqual(await findArtifact(store, artifact.id), materialized)
      assert.ok((await buffer(await store.get(imageKey(artifact.id)))).equals(bytes))
      assert.ok((await buffer(openManifest(store, manifest))).equals(bytes))

      const modifiedAt = (await store.stat(imageKey(artifact.id)))?.modifiedAt
      assert.deepEqual(await materializeArtifact(store, artifact.id), materialized)
      assert.deepEqual((await store.stat(imageKey(artifact.id)))?.modifiedAt, modifiedAt)

      await store.put(dataKey(artifact.id), Buffer.from('what a stamp replaced'))
      await removeArtifact(store, artifact.id)
      assert.deepEqual(await Array.fromAsync(store.list(`artifacts/${artifact.id}`)), [])
      assert.equal(await materializeArtifact(store, artifact.id), undefined)
    })

    it('stay as they are when something they are made of is missing', async () => {
      const manifest: Manifest = patchManifest(objectManifest('bases/base/data', base.length), [
        { offset: 10 * MiB, extent: { object: 'bases/lost/data', offset: 0, length: 8 * MiB } },
      ])
      const artifact = await recordImage(store, { buildId, name: 'site.iso', manifest })
      await assert.rejects(materializeArtifact(store, artifact.id), NoSuchObject)
      assert.deepEqual((await requireStored(store, artifact)).content, { kind: 'manifest', manifest })
      const keys = await Array.fromAsync(store.list(`artifacts/${artifact.id}`), ({ key }) => key)
      assert.deepEqual(keys, [recordKey(artifact.id)])
    })
  })
}

testArtifacts('a directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-artifacts-'))
  return {
    store: await openDirectoryStore(directory),
    transferred: () => undefined,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
})

testArtifacts('MinIO', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-artifacts-'))
  const minio = await startMinio({ dataDir: directory })
  const wire = await startCountingProxy(Number(new URL(minio.endpoint).port))
  return {
    store: await openMinioStore({ ...minio, endpoint: wire.endpoint, bucket: 'edgesmith' }),
    transferred: wire.transferred,
    [Symbol.asyncDispose]: async () => {
      await wire[Symbol.asyncDispose]()
      await minio[Symbol.asyncDispose]()
      await rm(directory, { recursive: true })
    },
  }
})

/** Passes connections on to a port and counts the bytes of both directions. */
async function startCountingProxy(
  port: number,
): Promise<AsyncDisposable & { endpoint: string; transferred: () => number }> {
  let bytes = 0
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', (chunk: Buffer) => (bytes += chunk.length))
      from.on('error', () => to.destroy())
      from.pipe(to)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    transferred: () => bytes,
    [Symbol.asyncDispose]: async () => {
      server.close()
      await Promise.resolve()
    },
  }
}
