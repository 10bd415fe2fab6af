import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { dataKey, recordChecksum } from '@edgesmith/artifacts/artifacts'
import type { Problem } from '@edgesmith/contract/problem'
import type { ImageContents } from '@edgesmith/contract/verification'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { fetch } from '../../../test/support/as-gateway.ts'
import { ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startArtifact } from '../src/service.ts'
import { buildId, makeImages, sha256Of, storeImage } from './images.ts'

describe('GET /v1/artifacts/{id}/contents', () => {
  let directory: string
  let store: ObjectStore
  let service: CalledService
  let made: Awaited<ReturnType<typeof makeImages>>

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-contents-'))
    const whole = await openDirectoryStore(directory)
    store = ownStore(whole)
    made = await makeImages()
    service = await startArtifact(
      {
        logLevel: 'silent',
        host: '127.0.0.1',
        port: 0,
        internal: { host: '127.0.0.1', port: 0 },
        serviceTlsDirectory: tlsDirectoryOf('artifact'),
        publicUrl: undefined,
        trustedProxies: [],
        signingKeys: ['k'.repeat(32)],
        objectStore: { kind: 'directory', directory },
      },
      { store: whole },
    )
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  const get = (id: string, query = '') => fetch(`${service.internalUrl}/v1/artifacts/${id}/contents${query}`)
  const list = async (id: string, query = '') => {
    const response = await get(id, query)
    assert.equal(response.status, 200)
    return new Map(((await response.json()) as ImageContents).items.map((item) => [item.path, item]))
  }
  const assertProblem = async (id: string, status: number, code: string) => {
    const response = await get(id)
    assert.equal(response.status, status)
    assert.equal(((await response.json()) as Problem).type, `urn:edgesmith:problem:${code}`)
  }

  it('lists every file with its size and SHA-256', async () => {
    for (const image of Object.values(made.images)) {
      const { id } = await storeImage(store, image)
      const items = await list(id)
      for (const [path, bytes] of made.files) {
        const expected = { path, type: 'file', size: bytes.length, sha256: sha256Of(bytes) }
        assert.deepEqual(items.get(path), expected)
      }
      assert.deepEqual(items.get('/files-iso'), { path: '/files-iso', type: 'directory', size: 0 })
      const link = { path: '/boot/link', type: 'symlink', size: 0, target: 'grub2/grub.cfg' }
      assert.deepEqual(items.get('/boot/link'), link)
    }
  })

  it('lists them without digests when those are not wanted, kept or not', async () => {
    const { id } = await storeImage(store, made.images.newLayout)
    const first = await list(id, '?digests=false')
    assert.ok([...first.values()].every((item) => !('sha256' in item)))
    const full = await list(id)
    assert.deepEqual([...full.keys()], [...first.keys()])
    assert.deepEqual(await list(id, '?digests=false'), first)
  })

  it('reads an image once', async () => {
    const { id } = await storeImage(store, made.images.oldLayout)
    const first = await list(id)
    await store.remove(dataKey(id))
    assert.deepEqual(await list(id), first)
  })

  it('answers a problem for what is no ISO image, or one that cannot be read', async () => {
    const image = await storeImage(store, made.images.newLayout)
    await assertProblem((await recordChecksum(store, image)).id, 422, 'not-an-iso')
    await assertProblem((await storeImage(store, Buffer.from('text'), 'notes.txt')).id, 422, 'not-an-iso')
    await assertProblem((await storeImage(store, Buffer.alloc(100_000))).id, 422, 'not-an-iso')
    await store.put(dataKey(image.id), made.images.newLayout.subarray(0, 1_000_000))
    await assertProblem(image.id, 422, 'not-an-iso')
    await store.remove(dataKey(image.id))
    await assertProblem(image.id, 422, 'not-an-iso')
    await assertProblem(buildId, 404, 'artifact-not-found')
  })

  it('is for those alone for whom the gateway asks', async () => {
    const { id } = await storeImage(store, made.images.oldLayout)
    const path = `/v1/artifacts/${id}/contents`
    assert.equal((await globalThis.fetch(`${service.url}${path}`)).status, 404)
    const headers = { 'edgesmith-principal': '' }
    assert.equal((await fetch(`${service.internalUrl}${path}`, { headers })).status, 401)
  })
})
