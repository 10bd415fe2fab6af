import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { AuditRecord } from '@edgesmith/contract/audit'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { appendRecord, auditPrefix, nobody } from '../src/audit-log.ts'
import { BrokenChain, linkKey, readChain, readObject } from '../src/chain.ts'
import { auditedTenants, compactRecords } from '../src/compaction.ts'
import { readRecords } from '../src/records.ts'
import { verifyChain } from '../src/verify-chain.ts'

const event = (requestId: string): Omit<AuditRecord, 'id' | 'at'> => ({
  ...{ tenant: 'acme', project: 'stores', action: 'createBuild', client: '203.0.113.7', requestId },
  object: { type: 'builds' },
  outcome: { status: 202 },
})
const at = (time: string) => new Date(`${time}Z`)
const later = at('2026-03-20T12:00:00')

describe('The audit record', () => {
  let directory: string
  let count = 0
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-audit-'))
  })
  after(() => rm(directory, { recursive: true }))

  async function newStore(): Promise<ObjectStore> {
    count += 1
    const store = await openDirectoryStore(join(directory, String(count)))
    for (const [index, time] of [
      '2026-03-14T00:00:00',
      '2026-03-14T23:59:59.999',
      '2026-03-16T09:00:00',
      '2026-03-19T00:00:01',
      '2026-03-20T11:00:00',
    ].entries()) {
      await appendRecord(store, event(`r${index}`), at(time))
    }
    return store
  }
  async function read(store: ObjectStore, from = '2026-03-01T00:00:00', after?: string): Promise<string[]> {
    const wanted = { tenant: 'acme', from: at(from), to: later, after }
    return Array.fromAsync(readRecords(store, wanted), ({ requestId }) => requestId)
  }
  const keysOf = (store: ObjectStore, prefix = '') =>
    Array.fromAsync(store.list(`${auditPrefix('acme')}${prefix}`), ({ key }) => key)
  async function overwrite(store: ObjectStore, key: string, change: (text: string) => string): Promise<void> {
    const stored = await readObject(store, key)
    assert.ok(stored !== undefined, key)
    await store.put(key, Buffer.from(change(stored.toString())))
  }

  it('is read in the order of time, the same before and after its old days are in the chain', async () => {
    const store = await newStore()
    const all = ['r0', 'r1', 'r2', 'r3', 'r4']
    assert.deepEqual(await read(store), all)
    assert.equal(await compactRecords(store, 'acme', later), 3)
    assert.deepEqual(await read(store), all)
    assert.deepEqual(await read(store, '2026-03-16T00:00:00'), all.slice(2))
    const records = await Array.fromAsync(
      readRecords(store, { tenant: 'acme', from: at('2026-03-01T00:00:00'), to: later }),
    )
    assert.deepEqual(await read(store, '2026-03-01T00:00:00', records[1]?.id), all.slice(2))
    assert.deepEqual((await keysOf(store, '2026/')).length, 2)
    assert.equal(await compactRecords(store, 'acme', later), 0)
  })

  it('reads no record of another time of the day', async () => {
    const store = await newStore()
    const [first = ''] = await keysOf(store, '2026/03/14/')
    await overwrite(store, first, () => 'no record')
    await assert.rejects(read(store))
    assert.deepEqual(await read(store, '2026-03-14T23:59:59.999'), ['r1', 'r2', 'r3', 'r4'])
    const wanted = { tenant: 'acme', from: at('2026-03-14T00:00:00.001'), to: at('2026-03-14T23:59:59.998') }
    assert.deepEqual(await Array.fromAsync(readRecords(store, wanted)), [])
  })

  it('keeps the records of nobody apart', async () => {
    const store = await newStore()
    const { tenant: _tenant, project: _project, ...ofNobody } = event('nobody')
    await appendRecord(store, ofNobody, at('2026-03-14T12:00:00'))
    assert.deepEqual((await auditedTenants(store)).sort(), [nobody, 'acme'])
    assert.ok(!(await read(store)).includes('nobody'))
    assert.equal(await compactRecords(store, nobody, later), 1)
  })

  it('has late records of a day that is in the chain already', async () => {
    const store = await newStore()
    await compactRecords(store, 'acme', later)
    await appendRecord(store, event('late'), at('2026-03-14T12:00:00'))
    const all = ['r0', 'late', 'r1', 'r2', 'r3', 'r4']
    assert.deepEqual(await read(store), all)
    assert.equal(await compactRecords(store, 'acme', later), 1)
    assert.deepEqual(await read(store), all)
    assert.deepEqual((await verifyChain(store, 'acme')).records, 4)
  })

  it('is compacted by several at once, and by one that died, without losing or doubling a record', async () => {
    const store = await newStore()
    await Promise.all(Array.from({ length: 5 }, () => compactRecords(store, 'acme', later)))
    await compactRecords(store, 'acme', later)
    assert.deepEqual(await read(store), ['r0', 'r1', 'r2', 'r3', 'r4'])
    assert.equal((await verifyChain(store, 'acme')).records, 3)
    // One that died had written the link, and not removed the objects yet.
    const [first] = await Array.fromAsync(
      readRecords(store, { tenant: 'acme', from: at('2026-03-14T00:00:00'), to: at('2026-03-14T01:00:00') }),
    )
    assert.ok(first !== undefined)
    const key = `${auditPrefix('acme')}2026/03/14/${first.id}.json`
    await store.put(key, Buffer.from(`${JSON.stringify(first)}\n`))
    assert.deepEqual(await read(store), ['r0', 'r1', 'r2', 'r3', 'r4'])
    await compactRecords(store, 'acme', later)
    assert.equal(await store.stat(key), undefined)
    assert.equal((await verifyChain(store, 'acme')).records, 3)
  })

  it('tells what the chain has, and what its head is', async () => {
    const store = await newStore()
    assert.deepEqual(await verifyChain(store, 'acme'), { links: 0, records: 0, head: undefined })
    await compactRecords(store, 'acme', later)
    const report = await verifyChain(store, 'acme')
    assert.equal(report.records, 3)
    assert.equal(report.links, 2)
    await appendRecord(store, event('more'), at('2026-03-15T12:00:00'))
    await compactRecords(store, 'acme', later)
    assert.equal((await verifyChain(store, 'acme', report.head)).links, 3)
  })

  for (const [what, tamper] of Object.entries({
    'a record that was altered': async (store: ObjectStore) => {
      const [segment = ''] = await keysOf(store, 'segments/')
      await overwrite(store, segment, (text) => text.replace('203.0.113.7', '203.0.113.8'))
    },
    'a record that was removed': async (store: ObjectStore) => {
      const [segment = ''] = await keysOf(store, 'segments/')
      await overwrite(store, segment, (text) => text.slice(text.indexOf('\n') + 1))
    },
    'a day that was removed': async (store: ObjectStore) => {
      const [segment = ''] = await keysOf(store, 'segments/')
      await store.remove(segment)
    },
    'a link that was altered to fit another day': async (store: ObjectStore) => {
      await overwrite(store, linkKey('acme', 1), (text) => text.replace('"records":2', '"records":1'))
    },
    'a link that was removed from the beginning': async (store: ObjectStore) => {
      await store.remove(linkKey('acme', 1))
    },
    'a link that was removed from the end': async (store: ObjectStore) => {
      await store.remove(linkKey('acme', 2))
    },
  })) {
    it(`shows ${what}`, async () => {
      const store = await newStore()
      await compactRecords(store, 'acme', later)
      const { head } = await verifyChain(store, 'acme')
      await tamper(store)
      await assert.rejects(verifyChain(store, 'acme', head), BrokenChain)
    })
  }

  it('is not added to where the chain was altered', async () => {
    const store = await newStore()
    await compactRecords(store, 'acme', later)
    await overwrite(store, linkKey('acme', 1), (text) => text.replace('"records":2', '"records":1'))
    await appendRecord(store, event('more'), at('2026-03-15T12:00:00'))
    await assert.rejects(compactRecords(store, 'acme', later), BrokenChain)
    await assert.rejects(Array.fromAsync(readChain(store, 'acme')), BrokenChain)
  })
})
