import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { usedBytes } from '../src/quota.ts'
import { ResumableUploads } from '../src/resumable-uploads.ts'
import { commitUpload, stageUpload } from '../src/uploads.ts'
import { isProblem, keysOf, openTemporaryStore } from './temporary-store.ts'

const limits = { limitBytes: 1000, quotaBytes: 100 }

describe('the quota of uploads', () => {
  let opened: AsyncDisposable & { store: ObjectStore }
  let store: ObjectStore
  beforeEach(async () => {
    opened = await openTemporaryStore()
    store = opened.store
  })
  afterEach(() => opened[Symbol.asyncDispose]())

  async function upload(size: number, fill: number): Promise<void> {
    const source = Readable.from([Buffer.alloc(size, fill)], { objectMode: false })
    await commitUpload(store, await stageUpload(store, source, limits))
  }

  it('takes uploads until they fill it', async () => {
    await upload(60, 1)
    await assert.rejects(upload(41, 2), isProblem('quota-exceeded'))
    await upload(40, 3)
    assert.equal(await usedBytes(store), 100)
    await assert.rejects(upload(1, 4), isProblem('quota-exceeded'))
    assert.equal((await keysOf(store)).length, 4, 'what was refused is gone')
  })

  it('is not exceeded by uploads that arrive at the same time', async () => {
    const sizes = Array.from({ length: 5 }, (_, index) => index + 40)
    await Promise.allSettled(sizes.map((size, index) => upload(size, index)))
    assert.ok((await usedBytes(store)) <= limits.quotaBytes)
  })

  it('counts what resumable uploads have announced, until they are removed', async () => {
    const uploads = new ResumableUploads(store, limits)
    const begin = async (size: number) => {
      const id = randomUUID()
      await uploads.create({ id, size, metadata: {}, expected: [] })
      return id
    }
    const id = await begin(70)
    await assert.rejects(begin(31), isProblem('quota-exceeded'))
    await assert.rejects(upload(31, 1), isProblem('quota-exceeded'))
    await uploads.remove(id)
    await upload(31, 1)
    assert.equal(await usedBytes(store), 31)
  })

  it('is shared with other stores where it is the quota of their tenant', async () => {
    await using other = await openTemporaryStore()
    const shared = {
      limitBytes: 1000,
      sharedQuota: () => Promise.resolve({ bytes: 100, stores: [store, other.store] }),
    }
    const send = async (to: ObjectStore, size: number) =>
      commitUpload(
        to,
        await stageUpload(to, Readable.from([Buffer.alloc(size)], { objectMode: false }), shared),
      )
    await send(other.store, 60)
    await assert.rejects(send(store, 41), isProblem('quota-exceeded'))
    await send(store, 40)
    await assert.rejects(send(other.store, 1), isProblem('quota-exceeded'))
  })

  it('tells an upload that is too large for anyone from one that there is no room for', async () => {
    await assert.rejects(
      stageUpload(store, Readable.from([Buffer.alloc(11)], { objectMode: false }), {
        limitBytes: 10,
        quotaBytes: 100,
      }),
      isProblem('content-too-large'),
    )
  })
})
