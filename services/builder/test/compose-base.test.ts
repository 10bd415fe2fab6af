import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Base } from '@edgesmith/bases/base'
import { baseKey, findBase, findRelatedBases, recordBase } from '@edgesmith/bases/base-store'
import { recipeKeys, type Recipe } from '@edgesmith/bases/keys'
import { BaseCondemned } from '@edgesmith/bases/variant'
import { createBuild } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import { objectsOf } from '@edgesmith/manifest/manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import { commitUpload, findUpload, stageUpload } from '@edgesmith/uploads/uploads'
import { v7 as uuidv7 } from 'uuid'
import { path, Workshop } from '../../../test/support/image-workshop.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { composeBase } from '../src/compose-base.ts'
import { findRecipe } from '../src/recipe.ts'

const maker = { engine: 'engine', userDataReserveBytes: 4096 }

describe('Composing a base', () => {
  let workshop: Workshop
  let from: Base
  before(async () => {
    workshop = await Workshop.open()
  })
  after(() => workshop[Symbol.asyncDispose]())

  beforeEach(async () => {
    const placeholder = placeholderUserData(maker.userDataReserveBytes)
    const manifest = await workshop.make('gpt', 'image', placeholder)
    const userData = await findSlot(workshop.read(manifest), path, placeholder)
    assert.ok(userData !== undefined)
    const id = uuidv7()
    from = {
      ...{ id, rootKey: '1'.repeat(64), layersKey: '2'.repeat(64), buildId: uuidv7() },
      ...{ createdAt: new Date().toISOString(), images: [], manifest, userData, proof: [], unproved: [] },
    }
    await recordBase(workshop.store, from)
  })

  async function upload(bytes: Buffer, fileName: string) {
    const { store } = workshop
    const staged = await stageUpload(store, Readable.from([bytes]), { limitBytes: 1024 ** 3 })
    await commitUpload(store, staged, { fileName })
    return { upload: staged.contentId, fileName }
  }

  /** A build with a cluster definition of its own. */
  async function request(): Promise<{ build: Build; recipe: Recipe }> {
    const userData = await upload(Buffer.from('#cloud-config\n'), 'user-data')
    const clusterDefinition = await upload(randomBytes(2_000_000), 'cluster.tgz')
    const build = createBuild(
      {
        ...ownProject,
        ...{ target: 'iso', canvos: { tag: 'v4.10.0', commit: '0'.repeat(40) }, labels: {}, diagnostics: [] },
        ...{ spec: { inputs: { userData, clusterDefinition } }, arguments: { CLUSTERCONFIG: 'cluster.tgz' } },
      },
      new Date(),
    )
    const recipe = await findRecipe(workshop.store, build)
    assert.ok(recipe !== undefined)
    return { build, recipe }
  }

  function compose({ build, recipe }: { build: Build; recipe: Recipe }): Promise<Base> {
    const signal = new AbortController().signal
    const log = { say: (line: string) => Promise.reject(new Error(line)) }
    return composeBase(
      { store: workshop.store, maker, config: { workDirectory: undefined } },
      { build, log, signal },
      { recipe, keys: { ...recipeKeys(recipe, maker), root: from.rootKey } },
      from,
    )
  }

  async function keys(prefix: string): Promise<string[]> {
    const found: string[] = []
    for await (const { key } of workshop.store.list(prefix)) found.push(key)
    return found
  }

  async function definitionOf({ spec }: Build): Promise<string> {
    const entry = await findUpload(workshop.store, spec.inputs?.clusterDefinition?.upload ?? '')
    assert.ok(entry !== undefined)
    return entry.objectKey
  }

  it('leaves one that is found by its layers and by its root file system', async () => {
    const asked = await request()
    const base = await compose(asked)
    assert.ok(objectsOf(base.manifest).includes(await definitionOf(asked.build)))
    assert.deepEqual(await findBase(workshop.store, base.layersKey), base)
    const related: string[] = []
    for await (const { id } of findRelatedBases(workshop.store, from.rootKey)) related.push(id)
    assert.equal(related[0], base.id)
  })

  it('leaves none, and none that could have been found, when the base it refers to is being removed', async () => {
    const before = await keys('bases/')
    const asked = await request()
    await workshop.store.put(baseKey.condemned(from.id), Buffer.from('now'))
    await assert.rejects(compose(asked), BaseCondemned)
    const marks = [baseKey.condemned(from.id), baseKey.used(from.id)]
    assert.deepEqual(
      (await keys('bases/')).filter((key) => !marks.includes(key)),
      before,
    )
  })

  it('fails when an upload that the image would refer to is damaged', async () => {
    const asked = await request()
    const before = await keys('bases/')
    await workshop.store.put(await definitionOf(asked.build), randomBytes(2_000_000))
    await assert.rejects(compose(asked), {
      code: 'input-unavailable',
      message: /The stored bytes of \/inputs\/clusterDefinition are not those that were uploaded/,
    })
    assert.deepEqual(
      (await keys('bases/')).filter((key) => key !== baseKey.used(from.id)),
      before,
    )
  })
})
