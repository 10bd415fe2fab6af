import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openDirectoryStore } from '../src/directory-store.ts'
import type { ObjectStore } from '../src/object-store.ts'
import { ProjectStores } from '../src/project-stores.ts'
import { testObjectStore } from './object-store.suite.ts'

testObjectStore('part of a store below a prefix', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-store-'))
  const stores = new ProjectStores(await openDirectoryStore(directory))
  return {
    store: stores.of({ tenant: 'acme', project: 'stores' }),
    countUnfinished: async () => (await readdir(join(directory, '.incoming'))).length,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
})

describe('ProjectStores', () => {
  let directory: string
  let whole: ObjectStore
  let stores: ProjectStores

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-store-'))
    whole = await openDirectoryStore(directory)
    stores = new ProjectStores(whole)
  })
  after(() => rm(directory, { recursive: true, force: true }))

  it('keeps projects apart, also those whose names begin alike', async () => {
    const [one, other] = ['stores', 'stores-2'].map((project) => stores.of({ tenant: 'acme', project }))
    assert.ok(one !== undefined && other !== undefined)
    await other.put('a/b', Buffer.from('theirs'))
    assert.equal(await one.stat('a/b'), undefined)
    assert.deepEqual(await Array.fromAsync(one.list('')), [])
    await one.remove('a/b')
    assert.equal((await other.stat('a/b'))?.size, 6)
    assert.equal((await whole.stat('projects/acme/stores-2/a/b'))?.size, 6)
  })

  it('takes no key that leads elsewhere', async () => {
    const store = stores.of({ tenant: 'acme', project: 'stores' })
    for (const key of ['../stores-2/a/b', '/a', '', 'a/../../b', './a'])
      await assert.rejects(async () => store.get(key), RangeError)
    await assert.rejects(async () => Array.fromAsync(store.list('../')), RangeError)
  })

  it('answers the same store for the same project', () => {
    const project = { tenant: 'acme', project: 'stores' }
    assert.equal(stores.of(project), stores.of({ ...project }))
  })
})
