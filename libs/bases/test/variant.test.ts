import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { findArtifact, removeArtifact } from '@edgesmith/artifacts/artifacts'
import { openFile } from '@edgesmith/iso/file'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import { v7 as uuidv7 } from 'uuid'
import { path, Workshop } from '../../../test/support/image-workshop.ts'
import type { Base } from '../src/base.ts'
import { baseKey, findBase, findRelatedBases, forgetBase, recordBase } from '../src/base-store.ts'
import { BaseCondemned, stampVariant, type Variant } from '../src/variant.ts'

describe('A base', () => {
  let workshop: Workshop
  let base: Base
  const build = { id: uuidv7(), arguments: { ISO_NAME: 'site' } }
  before(async () => {
    workshop = await Workshop.open()
    const placeholder = placeholderUserData(8192)
    const manifest = await workshop.make('gpt', 'image', placeholder)
    const userData = await findSlot(workshop.read(manifest), path, placeholder)
    assert.ok(userData !== undefined)
    base = {
      ...{ id: uuidv7(), rootKey: '1'.repeat(64), layersKey: '2'.repeat(64), buildId: uuidv7() },
      ...{ createdAt: new Date().toISOString(), images: [], manifest, userData, proof: [], unproved: [] },
    }
    await recordBase(workshop.store, base)
  })
  after(() => workshop[Symbol.asyncDispose]())

  async function keys(prefix: string): Promise<string[]> {
    const found: string[] = []
    for await (const { key } of workshop.store.list(prefix)) found.push(key)
    return found
  }

  async function related(): Promise<string[]> {
    const ids: string[] = []
    for await (const { id } of findRelatedBases(workshop.store, base.rootKey)) ids.push(id)
    return ids
  }

  it('becomes the ISO of a build, of which little more than the user-data is stored', async () => {
    const bytes = Buffer.from('#cloud-config\n# ümlaut\n')
    const { artifacts, proof } = await stampVariant(workshop.store, {
      build,
      base,
      userData: { pointer: '/inputs/userData', bytes },
    })
    assert.deepEqual(
      artifacts.map(({ name }) => name),
      ['site.iso', 'site.iso.sha256'],
    )
    const stored = await findArtifact(workshop.store, artifacts[0].id)
    assert.ok(stored?.content.kind === 'manifest')
    const image = workshop.read(stored.content.manifest)
    assert.equal(await text(await openFile(image, path)), String(bytes))
    assert.equal(image.size, base.manifest.size)
    assert.equal((await workshop.store.stat(`artifacts/${artifacts[0].id}/data`))?.size, 8 + bytes.length)
    assert.deepEqual(
      proof.inputs.map(({ pointer, paths, size }) => [pointer, paths, size]),
      [['/inputs/userData', [path], bytes.length]],
    )
  })

  it('is proved by what the store gives back, and leaves nothing where that is something else', async () => {
    const before = await keys('artifacts/')
    const { store } = workshop
    const forgetful = new Proxy(store, {
      get: (target, name) => {
        if (name === 'put')
          return (key: string, body: Buffer) =>
            target.put(key, key.endsWith('/data') ? Buffer.alloc(body.length, body.subarray(0, 8)) : body)
        const member: unknown = Reflect.get(target, name)
        return typeof member === 'function' ? (member.bind(target) as unknown) : member
      },
    })
    const userData = { pointer: '/inputs/userData', bytes: Buffer.from('#cloud-config\n') }
    await assert.rejects(stampVariant(forgetful, { build, base, userData }), /has 14 other bytes/)
    assert.deepEqual(await keys('artifacts/'), before)
  })

  it('is described to what is done alongside, with which it fails', async () => {
    const before = await keys('artifacts/')
    const userData = { pointer: '/inputs/userData', bytes: Buffer.from('#cloud-config\n') }
    const seen: Variant[] = []
    const alongside = (variant: Variant) => {
      seen.push(variant)
      return Promise.resolve()
    }
    assert.deepEqual([await stampVariant(workshop.store, { build, base, userData, alongside })], seen)
    const [made] = seen
    assert.ok(made !== undefined)
    for (const artifact of made.artifacts) {
      assert.deepEqual((await findArtifact(workshop.store, artifact.id))?.artifact, artifact)
      await removeArtifact(workshop.store, artifact.id)
    }
    const fault = new Error('no room')
    const failing = { build, base, userData, alongside: () => Promise.reject(fault) }
    await assert.rejects(stampVariant(workshop.store, failing), fault)
    assert.deepEqual(await keys('artifacts/'), before)
  })

  it('is found by its layers and by its root file system, the newest first, until it is forgotten', async () => {
    const second: Base = { ...base, id: uuidv7(), userData: base.userData }
    await recordBase(workshop.store, second)
    assert.equal((await findBase(workshop.store, base.layersKey))?.id, second.id)
    assert.deepEqual(await related(), [second.id, base.id])
    await forgetBase(workshop.store, second)
    assert.equal(await findBase(workshop.store, base.layersKey), undefined)
    assert.deepEqual(await related(), [base.id])
    await recordBase(workshop.store, base)
    assert.equal((await findBase(workshop.store, base.layersKey))?.id, base.id)
  })

  it('makes nothing once it is condemned', async () => {
    await workshop.store.put(baseKey.condemned(base.id), Buffer.from('now'))
    const before = await keys('artifacts/')
    const userData = { pointer: '/inputs/userData', bytes: Buffer.from('#cloud-config\n') }
    await assert.rejects(stampVariant(workshop.store, { build, base, userData }), BaseCondemned)
    assert.deepEqual(await keys('artifacts/'), before)
    assert.equal(await findBase(workshop.store, base.layersKey), undefined)
  })
})
