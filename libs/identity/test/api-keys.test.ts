import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { ProblemError } from '@edgesmith/contract/problem'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { accepts, ApiKeys, hasUsableKey, isUsable, type NewKey } from '../src/api-keys.ts'
import { formatKey, newKeyText, parseKey, type KeyText } from '../src/key-text.ts'
import { RecordCache } from '../src/record-cache.ts'
import { startReplicas, type Replicas } from './replicas.ts'

const wanted: NewKey = { name: 'ci', tenant: 'acme', role: 'builder', createdBy: 'key:0000000000000000' }

function partsOf(key: string): KeyText {
  const parts = parseKey(key)
  assert.ok(parts)
  return parts
}

describe('API keys', () => {
  let directory: string
  let store: ObjectStore
  let replicas: Replicas
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-identity-'))
    store = await openDirectoryStore(path.join(directory, 'objects'))
    replicas = await startReplicas(path.join(directory, 'redis'), store)
  })
  after(async () => {
    await replicas[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  /** Whether a replica lets a key in. */
  async function letsIn({ keys }: Replicas['first'], key: string): Promise<boolean> {
    const parts = partsOf(key)
    const record = await keys.find(parts.id)
    return record !== undefined && isUsable(record) && accepts(record, parts)
  }

  it('are text of one form, and nothing else is a key', () => {
    const key = newKeyText()
    assert.deepEqual(parseKey(formatKey(key)), key)
    const text = formatKey(key)
    for (const other of [text.slice(1), `${text}0`, text.slice(0, -1), text.toUpperCase(), ` ${text}`, '']) {
      assert.equal(parseKey(other), undefined, other)
    }
  })

  it('are kept without their secrets, in the object store and in Redis', async () => {
    assert.equal(await hasUsableKey(store), false)
    const { record, key } = await replicas.first.keys.create(wanted)
    assert.equal(await letsIn(replicas.second, key), true)
    const { secret } = partsOf(key)
    const objects = await Array.fromAsync(store.list(''))
    const stored = await Promise.all(objects.map(async (object) => text(await store.get(object.key))))
    const names = await replicas.first.redis.keys('*')
    const cached = await Promise.all(names.map((name) => replicas.first.redis.get(name)))
    assert.ok(stored.join().includes(record.secretHash))
    assert.ok(cached.join().includes(record.secretHash))
    for (const held of [...stored, ...cached, ...objects.map((object) => object.key)]) {
      assert.ok(!held?.includes(secret))
    }
    assert.equal(await hasUsableKey(store), true)
  })

  it('are refused with another secret, and once they have expired', async () => {
    const { record, key } = await replicas.first.keys.create({
      ...wanted,
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    })
    const parts = partsOf(key)
    assert.ok(accepts(record, parts))
    assert.ok(!accepts(record, { ...parts, secret: newKeyText().secret }))
    assert.ok(isUsable(record))
    assert.ok(!isUsable(record, Date.now() + 3_600_001))
  })

  it('are revoked on every replica at once, and for good', async () => {
    const { record, key } = await replicas.first.keys.create(wanted)
    assert.ok(await letsIn(replicas.second, key))
    await replicas.first.keys.revoke(record.id)
    assert.ok(!(await letsIn(replicas.second, key)))
    const { revokedAt } = (await replicas.second.keys.find(record.id)) ?? {}
    await replicas.second.keys.revoke(record.id)
    await assert.rejects(
      replicas.second.keys.rotate(record.id, { graceMs: 1000 }),
      (error) => error instanceof ProblemError && error.code === 'key-revoked',
    )
    const found = await replicas.first.keys.find(record.id)
    assert.equal(found?.revokedAt, revokedAt)
    assert.ok(found && !isUsable(found))
  })

  it('are not brought back by a replica that read them before they were revoked', async () => {
    const { record, key } = await replicas.first.keys.create(wanted)
    await replicas.first.redis.flushall()
    // The second replica has read the record and is about to keep it in Redis when the first one revokes it.
    const read = Promise.withResolvers<undefined>()
    const goOn = Promise.withResolvers<undefined>()
    const slow = new ApiKeys({
      store: {
        ...store,
        list: (prefix) => store.list(prefix),
        get: async (name) => {
          const stream = await store.get(name)
          read.resolve(undefined)
          await goOn.promise
          return stream
        },
      },
      cache: new RecordCache(replicas.second.redis),
    })
    const late = slow.find(record.id)
    await read.promise
    await replicas.first.keys.revoke(record.id)
    goOn.resolve(undefined)
    assert.equal((await late)?.revokedAt, undefined)
    await replicas.second.redis.ping()
    assert.ok(!(await letsIn(replicas.second, key)))
  })

  it('live on for the grace of a rotation, and no longer', async () => {
    const { record, key } = await replicas.first.keys.create(wanted)
    const rotated = await replicas.first.keys.rotate(record.id, { graceMs: 60_000 })
    assert.ok(await letsIn(replicas.second, key))
    assert.ok(await letsIn(replicas.second, rotated.key))
    const now = await replicas.second.keys.find(record.id)
    assert.ok(now)
    assert.ok(!accepts(now, partsOf(key), Date.now() + 60_001))
    assert.ok(accepts(now, partsOf(rotated.key), Date.now() + 60_001))
    const again = await replicas.second.keys.rotate(record.id, { graceMs: 0 })
    assert.deepEqual(
      await Promise.all([key, rotated.key, again.key].map((text) => letsIn(replicas.first, text))),
      [false, false, true],
    )
  })

  it('are listed by tenant, in pages, without hashes', async () => {
    const made = await Promise.all(
      Array.from({ length: 5 }, () => replicas.first.keys.create({ ...wanted, tenant: 'other' })),
    )
    const ids = made.map(({ record }) => record.id).sort()
    const page = await replicas.second.keys.list('other', { limit: 3 }, () => true)
    const rest = await replicas.second.keys.list('other', { limit: 3, cursor: page.nextCursor }, () => true)
    assert.deepEqual(
      [...page.items, ...rest.items].map(({ id }) => id),
      ids,
    )
    assert.equal(rest.nextCursor, undefined)
    assert.doesNotMatch(JSON.stringify(page), /hash/i)
    const none = await replicas.second.keys.list('other', { limit: 3 }, ({ id }) => id === 'x')
    assert.deepEqual(none, { items: [] })
  })

  it('work, and can be revoked, while Redis is away', async () => {
    const { record, key } = await replicas.first.keys.create(wanted)
    await replicas.stopRedis()
    assert.ok(await letsIn(replicas.second, key))
    await assert.rejects(
      replicas.first.keys.revoke(record.id),
      (error) => error instanceof ProblemError && error.code === 'upstream-unavailable',
    )
    assert.ok(!(await letsIn(replicas.second, key)))
  })
})
