import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { isLeased, leaseArtifact, sweepExpiredLeases } from '../src/lease.ts'

const id = '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22'
const other = '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d23'
const later = (seconds: number) => new Date(Date.now() + seconds * 1000)

describe('leases of artifacts', () => {
  let root: string
  let store: ObjectStore

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'edgesmith-leases-'))
    store = await openDirectoryStore(root)
  })
  afterEach(async () => {
    mock.timers.reset()
    await rm(root, { recursive: true })
  })

  const lease = (of = id) => leaseArtifact(store, of, failed)
  const keys = async () => (await Array.fromAsync(store.list('leases/'))).map(({ key }) => key)

  it('hold until they are disposed of', async () => {
    const held = await lease()
    assert.ok(await isLeased(store, id, new Date()))
    assert.ok(!(await isLeased(store, other, new Date())))
    await held[Symbol.asyncDispose]()
    assert.ok(!(await isLeased(store, id, new Date())))
    assert.deepEqual(await keys(), [])
  })

  it('are one object for all who use an artifact in a process, until the last is done', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => lease()))
    assert.equal((await keys()).length, 1)
    const [last, ...others] = all
    for (const one of others) {
      await one[Symbol.asyncDispose]()
      await one[Symbol.asyncDispose]()
    }
    assert.ok(await isLeased(store, id, new Date()))
    await last?.[Symbol.asyncDispose]()
    assert.deepEqual(await keys(), [])
  })

  it('are begun again when the last user was just done', async () => {
    const first = await lease()
    const ending = first[Symbol.asyncDispose]()
    await using _second = await lease()
    await ending
    assert.ok(await isLeased(store, id, new Date()))
  })

  it('of several processes are apart', async () => {
    await using _here = await lease()
    const elsewhere = await leaseArtifact(await openDirectoryStore(root), id, failed)
    assert.equal((await keys()).length, 2)
    await elsewhere[Symbol.asyncDispose]()
    assert.ok(await isLeased(store, id, new Date()))
  })

  it('are renewed every minute, and expire after five without', async () => {
    mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.now() })
    await using _held = await lease()
    const [key = ''] = await keys()
    const until = async () =>
      Date.parse((JSON.parse(await text(await store.get(key))) as { until: string }).until)
    const first = await until()
    assert.equal(first, later(300).getTime())
    assert.ok(await isLeased(store, id, later(299)))
    assert.ok(!(await isLeased(store, id, later(300))))
    mock.timers.tick(60_000)
    while ((await until()) === first);
    assert.equal(await until(), first + 60_000)
  })

  it('tell of a renewal that fails, and hold on', async () => {
    mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.now() })
    const failed = Promise.withResolvers<unknown>()
    await using _held = await leaseArtifact(store, id, failed.resolve)
    const put = mock.method(store, 'put', () => Promise.reject(new Error('no space left')))
    mock.timers.tick(60_000)
    assert.match(String(await failed.promise), /no space left/)
    put.mock.restore()
    assert.ok(await isLeased(store, id, new Date()))
  })

  it('of processes that died are removed once they expired', async () => {
    const held = await lease()
    await lease(other)
    assert.equal(await sweepExpiredLeases(store, later(290)), 0)
    assert.equal(await sweepExpiredLeases(store, later(310)), 2)
    assert.deepEqual(await keys(), [])
    await held[Symbol.asyncDispose]()
  })
})

/** No renewal fails where this is given. */
function failed(error: unknown): void {
  assert.fail(String(error))
}
