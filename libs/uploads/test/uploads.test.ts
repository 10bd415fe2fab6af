import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, afterEach, before, describe, it } from 'node:test'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ProblemCode } from '@edgesmith/contract/problem'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { startMinio } from '../../../deploy/minio/server.ts'
import { commitUpload, discardUpload, findUpload, stageUpload } from '../src/uploads.ts'

const limits = { limitBytes: 64 * 1024 * 1024 }

testUploads('uploads in a directory', async () => {
  const root = await mkdtemp(join(tmpdir(), 'edgesmith-uploads-'))
  return {
    store: await openDirectoryStore(root),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  }
})

testUploads('uploads in MinIO', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'edgesmith-uploads-'))
  const server = await startMinio({ dataDir })
  return {
    store: await openMinioStore({ ...server, bucket: 'edgesmith' }),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await rm(dataDir, { recursive: true })
    },
  }
})

function testUploads(name: string, open: () => Promise<AsyncDisposable & { store: ObjectStore }>): void {
  describe(name, () => {
    let opened: AsyncDisposable & { store: ObjectStore }
    let store: ObjectStore

    before(async () => {
      opened = await open()
      store = opened.store
    })
    after(() => opened[Symbol.asyncDispose]())
    afterEach(async () => {
      for (const key of await keysOf(store)) await store.remove(key)
    })

    it('has the bytes of a file at hand up to 256 KiB', async () => {
      for (const size of [256 * 1024, 256 * 1024 + 1]) {
        const content = Buffer.alloc(size, 'x')
        const chunks = [content.subarray(0, 100_000), content.subarray(100_000)]
        const staged = await stageUpload(store, Readable.from(chunks, { objectMode: false }), limits)
        assert.deepEqual(staged.bytes, size > 256 * 1024 ? undefined : content)
      }
    })

    it('stages a file and enters it into the catalogue', async () => {
      const content = Buffer.from('#cloud-config\nstylus: {}\n')
      const staged = await stageUpload(store, streamOf(content), limits)
      assert.deepEqual(
        { ...staged, objectKey: '' },
        {
          objectKey: '',
          contentId: idOf(content),
          size: content.length,
          kind: 'cloud-config',
          bytes: content,
        },
      )
      assert.deepEqual(await buffer(await store.get(staged.objectKey)), content)
      assert.equal(await findUpload(store, staged.contentId), undefined)

      const { upload, created } = await commitUpload(store, staged, { fileName: 'user-data' })
      assert.equal(created, true)
      assert.deepEqual(
        { ...upload, createdAt: '' },
        {
          id: idOf(content),
          kind: 'cloud-config',
          size: content.length,
          fileName: 'user-data',
          createdAt: '',
        },
      )
      assert.deepEqual(await findUpload(store, upload.id), { upload, objectKey: staged.objectKey })
    })

    it('stages a file of several parts and looks at its first bytes across chunks', async () => {
      const image = Buffer.alloc(20 * 1024 * 1024, 7)
      image.write('CD001', 0x8001)
      const chunks = Array.from({ length: 320 }, (_, index) =>
        image.subarray(index * 65536, (index + 1) * 65536),
      )
      const staged = await stageUpload(store, Readable.from(chunks, { objectMode: false }), limits)
      assert.equal(staged.contentId, idOf(image))
      assert.equal(staged.size, image.length)
      assert.equal(staged.kind, 'iso9660')
    })

    it('keeps one object of equal content, with the name it had first', async () => {
      const content = Buffer.from('ARCH=amd64\n')
      const first = await commitUpload(store, await stageUpload(store, streamOf(content), limits), {
        fileName: 'a',
      })
      const keys = await keysOf(store)
      const second = await commitUpload(store, await stageUpload(store, streamOf(content), limits), {
        fileName: 'b',
      })
      assert.deepEqual(second, { upload: first.upload, created: false })
      assert.deepEqual(await keysOf(store), keys)
    })

    it('keeps one object of equal content that many upload at once', async () => {
      const content = Buffer.from('ARCH=arm64\n')
      const commits = await Promise.all(
        Array.from({ length: 10 }, async () =>
          commitUpload(store, await stageUpload(store, streamOf(content), limits)),
        ),
      )
      assert.equal(commits.filter(({ created }) => created).length, 1)
      assert.equal(new Set(commits.map(({ upload }) => upload.createdAt)).size, 1)
      assert.equal((await keysOf(store)).length, 2)
      const found = await findUpload(store, idOf(content))
      assert.ok(found !== undefined)
      assert.deepEqual(await buffer(await store.get(found.objectKey)), content)
    })

    it('can commit the same staged upload again', async () => {
      const staged = await stageUpload(store, streamOf(Buffer.from('x')), limits)
      const { upload } = await commitUpload(store, staged)
      assert.deepEqual(await commitUpload(store, staged), { upload, created: true })
      assert.equal((await store.stat(staged.objectKey))?.size, 1)
    })

    it('replaces an entry whose bytes are gone', async () => {
      const content = Buffer.from('lost and found')
      const lost = await stageUpload(store, streamOf(content), limits)
      await commitUpload(store, lost)
      await store.remove(lost.objectKey)
      const staged = await stageUpload(store, streamOf(content), limits)
      const { upload, created } = await commitUpload(store, staged)
      assert.equal(created, true)
      assert.deepEqual(await findUpload(store, upload.id), { upload, objectKey: staged.objectKey })
    })

    it('discards a staged upload', async () => {
      const staged = await stageUpload(store, streamOf(Buffer.from('x')), limits)
      await discardUpload(store, staged)
      await discardUpload(store, staged)
      assert.deepEqual(await keysOf(store), [])
    })

    it('refuses an empty file', async () => {
      await assert.rejects(stageUpload(store, streamOf(), limits), isProblem('empty-file'))
      assert.deepEqual(await keysOf(store), [])
    })

    for (const size of [11, 100, 20 * 1024 * 1024]) {
      it(`refuses ${size} bytes where fewer are taken`, async () => {
        const source = streamOf(Buffer.alloc(size - 1), Buffer.alloc(1), Buffer.alloc(1))
        await assert.rejects(stageUpload(store, source, { limitBytes: size }), isProblem('content-too-large'))
        assert.deepEqual(await keysOf(store), [])
      })
    }

    it('takes a file of exactly the limit', async () => {
      const staged = await stageUpload(store, streamOf(Buffer.alloc(10)), { limitBytes: 10 })
      assert.equal(staged.size, 10)
    })

    it('stops reading a file that is too large, without destroying its stream', async () => {
      const source = new PassThrough()
      source.write(Buffer.alloc(11))
      await assert.rejects(stageUpload(store, source, { limitBytes: 10 }), isProblem('content-too-large'))
      assert.equal(source.destroyed, false)
    })

    it('leaves nothing of a stream that fails or is cut', async () => {
      const failing = new PassThrough()
      failing.write('begun')
      const failed = assert.rejects(stageUpload(store, failing, limits), /the line was cut/)
      failing.destroy(new Error('the line was cut'))
      await failed

      const cut = new PassThrough()
      cut.write('begun')
      const rejected = assert.rejects(stageUpload(store, cut, limits), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
      cut.destroy()
      await rejected
      assert.deepEqual(await keysOf(store), [])
    })

    it('leaves nothing of an upload that is aborted', async () => {
      const abort = new AbortController()
      const reason = new Error('the client is gone')
      const source = new PassThrough()
      source.write('begun')
      const rejected = assert.rejects(stageUpload(store, source, limits, { signal: abort.signal }), reason)
      abort.abort(reason)
      await rejected
      assert.deepEqual(await keysOf(store), [])
    })

    it('refuses a stream that has ended before', async () => {
      const source = streamOf(Buffer.from('x'))
      await buffer(source)
      await assert.rejects(stageUpload(store, source, limits))
      assert.deepEqual(await keysOf(store), [])
    })
  })
}

function streamOf(...chunks: Buffer[]): Readable {
  return Readable.from(chunks, { objectMode: false })
}

function idOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

function isProblem(code: ProblemCode): (error: unknown) => boolean {
  return (error) => error instanceof ProblemError && error.code === code
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(''))).map(({ key }) => key)
}
