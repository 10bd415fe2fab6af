import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { findArtifact } from '@edgesmith/artifacts/artifacts'
import { baseKey, readBase, recordBase } from '@edgesmith/bases/base-store'
import type { Build } from '@edgesmith/contract/build'
import { openFile } from '@edgesmith/iso/file'
import type { ImageReader } from '@edgesmith/manifest/image-reader'
import { objectsOf } from '@edgesmith/manifest/manifest'
import { assertSameFiles } from '../../../test/support/same-files.ts'
import { startBuilder } from '../src/service.ts'
import { Harness, type SubmitOptions } from './harness.ts'

const reserve = 8192
const dataPath = '/files-iso/config.yaml'

function userDataOf(site: string, size = 0): string {
  const document = `#cloud-config\nstylus:\n  site:\n    name: ${site}\n`
  return `${document}${'# padding\n'.repeat(Math.max(0, size - document.length) / 10)}`
}

/** The base that a build's ISO was made of. */
async function baseOf(harness: Harness, build: Build): Promise<string> {
  const iso = await findArtifact(harness.store, build.artifacts[0]?.id ?? '')
  assert.ok(iso?.content.kind === 'manifest')
  const objects = objectsOf(iso.content.manifest).join(' ')
  const id = /bases\/([^/]+)\/layout/.exec(objects)?.[1] ?? /bases\/([^/]+)\//.exec(objects)?.[1]
  assert.ok(id !== undefined, objects)
  return id
}

for (const tag of ['v4.9.36', 'v4.10.0']) {
  describe(`The roads to an ISO of ${tag}`, () => {
    const stack = new AsyncDisposableStack()
    let harness: Harness
    let first: Build
    before(async () => {
      harness = stack.use(await Harness.open({ USER_DATA_RESERVE_BYTES: String(reserve) }))
      stack.use(await startBuilder(harness.config))
      first = await make({ site: 'first', bundle: 'one' })
    })
    after(() => stack.disposeAsync())

    type Variety = {
      site?: string
      size?: number
      bundle?: string
      definition?: string
      cache?: SubmitOptions['cache']
    }

    async function make({ site, size, bundle, definition, cache = 'use' }: Variety): Promise<Build> {
      const build = await harness.ended(
        await harness.submit({
          tag,
          cache,
          inputs: {
            ...(site === undefined ? {} : { userData: await harness.upload(userDataOf(site, size)) }),
            ...(bundle === undefined
              ? {}
              : { contentBundles: [await harness.upload(zstdCompressSync(bundle), 'core.tar.zst')] }),
            ...(definition === undefined
              ? {}
              : { clusterDefinition: await harness.upload(definition, 'cluster.tgz') }),
          },
        }),
      )
      assert.equal(build.state, 'succeeded', JSON.stringify(build.failure, null, 1))
      return build
    }

    function isoOf({ artifacts }: Build): Promise<ImageReader> {
      const iso = artifacts.find(({ name }) => name === 'test-installer.iso')
      assert.ok(iso !== undefined)
      return harness.image(iso)
    }

    async function ranEarthly({ id }: Build): Promise<boolean> {
      return (await harness.log(id)).some((line) => line.startsWith('+iso | '))
    }

    it('begins with a run of Earthly, of which a base is left', async () => {
      assert.deepEqual([first.road, first.baseBuildId, await ranEarthly(first)], ['build', undefined, true])
      assert.match(first.artifacts[0]?.sha256 ?? '', /^[0-9a-f]{64}$/)
      assert.ok((first.images?.length ?? 0) >= 4, JSON.stringify(first.images))
      assert.equal(await text(await openFile(await isoOf(first), dataPath)), userDataOf('first'))
      assert.deepEqual(
        (await readBase(harness.store, await baseOf(harness, first)))?.userData?.capacity,
        reserve,
      )
    })

    it('stamps other user-data, and the files are those of a full build', async () => {
      const stamped = await make({ site: 'second, longer', bundle: 'one' })
      assert.deepEqual(
        [stamped.road, stamped.baseBuildId, await ranEarthly(stamped)],
        ['stamp', first.id, false],
      )
      assert.notEqual(stamped.key, first.key)
      assert.deepEqual(stamped.images, first.images)
      assert.deepEqual(
        stamped.proof?.inputs.map(({ pointer }) => pointer).sort(),
        first.proof?.inputs.map(({ pointer }) => pointer).sort(),
      )
      assert.equal(await text(await openFile(await isoOf(stamped), dataPath)), userDataOf('second, longer'))
      const full = await make({ site: 'second, longer', bundle: 'one', cache: 'bypass' })
      assert.deepEqual([full.road, await ranEarthly(full), full.key], ['build', true, stamped.key])
      await assertSameFiles(await isoOf(stamped), await isoOf(full))
    })

    it('answers an equal build from the store', async () => {
      const again = await make({ site: 'first', bundle: 'one' })
      assert.deepEqual([again.road, again.key, await ranEarthly(again)], ['build', first.key, false])
      assert.notEqual(again.artifacts[0]?.id, first.artifacts[0]?.id)
      assert.equal(again.artifacts[0]?.sha256, first.artifacts[0]?.sha256)
    })

    it('composes an ISO with other files around the root file system', async () => {
      const composed = await make({ site: 'third', bundle: 'another', definition: 'profile' })
      assert.deepEqual([composed.road, await ranEarthly(composed)], ['compose', false])
      assert.equal(await text(await openFile(await isoOf(composed), dataPath)), userDataOf('third'))
      const full = await make({ site: 'third', bundle: 'another', definition: 'profile', cache: 'bypass' })
      await assertSameFiles(await isoOf(composed), await isoOf(full))

      const stamped = await make({ site: 'fourth', bundle: 'another', definition: 'profile' })
      assert.equal(stamped.road, 'stamp')
    })

    it('composes an ISO whose user-data is larger than the reserve, and one that has none', async () => {
      const large = await make({ site: 'large', size: 2 * reserve, bundle: 'one' })
      assert.deepEqual([large.road, await ranEarthly(large)], ['compose', false])
      assert.equal(await text(await openFile(await isoOf(large), dataPath)), userDataOf('large', 2 * reserve))
      const without = await make({ bundle: 'one' })
      assert.deepEqual([without.road, await ranEarthly(without)], ['compose', false])
      await assert.rejects(openFile(await isoOf(without), dataPath), { code: 'file-not-found' })
    })

    it('runs Earthly where no ISO can be composed', async () => {
      const id = await baseOf(harness, await make({ site: 'beyond', bundle: 'one', cache: 'bypass' }))
      const base = await readBase(harness.store, id)
      assert.ok(base !== undefined)
      const lost = { pointer: '/inputs/clusterDefinition', sha256: '0'.repeat(64), size: 1 }
      const proof = [...base.proof, { ...lost, paths: ['/opt/spectrocloud/clusterconfig/lost.tgz'] }]
      await recordBase(harness.store, { ...base, proof })
      const built = await make({ site: 'beyond', bundle: 'impossible' })
      assert.deepEqual([built.road, await ranEarthly(built)], ['build', true])
      const log = await harness.log(built.id)
      assert.ok(
        log.some((line) => line.includes('cannot be laid out so')),
        log.join('\n'),
      )
    })

    it('leaves a base alone that is being removed, or whose images have moved', async () => {
      const before = await make({ site: 'fifth', bundle: 'one' })
      assert.equal(before.road, 'stamp')
      for await (const { key } of harness.store.list('bases/')) {
        const id = /^bases\/([^/]+)\/base\.json$/.exec(key)?.[1]
        const base = id === undefined ? undefined : await readBase(harness.store, id)
        if (base === undefined) continue
        const images = base.images.map((image) => ({ ...image, digest: `sha256:${'0'.repeat(64)}` }))
        await recordBase(harness.store, { ...base, images })
      }
      const moved = await make({ site: 'sixth', bundle: 'one' })
      assert.deepEqual([moved.road, await ranEarthly(moved)], ['build', true])

      const after = await make({ site: 'seventh', bundle: 'one' })
      assert.deepEqual([after.road, after.baseBuildId], ['stamp', moved.id])
      await harness.store.put(baseKey.condemned(await baseOf(harness, moved)), Buffer.from('now'))
      const condemned = await make({ site: 'eighth', bundle: 'one' })
      assert.deepEqual([condemned.road, await ranEarthly(condemned)], ['build', true])
    })
  })
}

describe('Two builders', () => {
  it('run Earthly once for equal builds that come at once', async () => {
    // A process that is held up for longer than its lock lasts loses the right to be the one.
    await using harness = await Harness.open({ BUILDER_LOCK_SECONDS: '30' })
    await using stack = new AsyncDisposableStack()
    const second = { ...harness.config, workerId: `test-${randomUUID().slice(0, 8)}` }
    stack.use(await startBuilder(harness.config))
    stack.defer(() => harness.removeCacheOf(second.workerId))
    stack.use(await startBuilder(second))
    const inputs = { userData: await harness.upload(userDataOf('single')) }
    const ids = await Promise.all([1, 2, 3].map(() => harness.submit({ cache: 'use', inputs })))
    const builds = await Promise.all(ids.map((id) => harness.ended(id)))
    assert.deepEqual(
      builds.map(({ state, road }) => [state, road]),
      builds.map(() => ['succeeded', 'build']),
    )
    const logs = await Promise.all(ids.map((id) => harness.log(id)))
    const runs = builds.filter((_, index) => logs[index]?.some((line) => line.startsWith('+iso | ')))
    assert.equal(runs.length, 1)
    const [made] = runs
    assert.ok(made !== undefined)
    const base = await readBase(harness.store, await baseOf(harness, made))
    for (const { id, startedAt = '', baseBuildId } of builds) {
      if (id === made.id) continue
      assert.equal(baseBuildId, made.id)
      assert.ok(startedAt >= (base?.createdAt ?? 'never'), 'it stayed queued while the other ran')
    }
  })
})
