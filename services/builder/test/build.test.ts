import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { findArtifact } from '@edgesmith/artifacts/artifacts'
import { openFile } from '@edgesmith/iso/file'
import { walkTree } from '@edgesmith/iso/tree'
import { readVolumes } from '@edgesmith/iso/volume'
import { startBuilder } from '../src/service.ts'
import { fixtureTag, Harness } from './harness.ts'

const userData =
  '#cloud-config\nstylus:\n  site:\n    edgeHostToken: token\n    paletteEndpoint: api.example.com\n'
const bundle = zstdCompressSync('content')

describe('A builder', () => {
  let harness: Harness
  let builder: Awaited<ReturnType<typeof startBuilder>>
  before(async () => {
    harness = await Harness.open({ BUILDER_CONCURRENCY: '2', USER_DATA_RESERVE_BYTES: '1024' })
    builder = await startBuilder(harness.config)
  })
  after(async () => {
    await builder[Symbol.asyncDispose]()
    assert.deepEqual(await harness.leftovers(), [])
    await harness[Symbol.asyncDispose]()
  })

  it('builds an installer ISO and checks it', async () => {
    const id = await harness.submit({ inputs: { userData: await harness.upload(userData) } })
    const build = await harness.ended(id)
    assert.equal(build.state, 'succeeded', JSON.stringify(build.failure, null, 1))
    const iso = build.artifacts.find(({ name }) => name === 'test-installer.iso')
    const sums = build.artifacts.find(({ name }) => name === 'test-installer.iso.sha256')
    assert.ok(iso !== undefined && sums !== undefined)
    const image = await harness.image(iso)
    const hash = createHash('sha256')
    for (let at = 0; at < image.size; at += 2 ** 20) hash.update(await image.read(at, 2 ** 20))
    assert.equal(hash.digest('hex'), iso.sha256)
    assert.equal(await text(await openFile(image, '/files-iso/config.yaml')), userData)
    assert.deepEqual((await findArtifact(harness.store, sums.id))?.content, { kind: 'checksum', of: iso.id })
    assert.deepEqual(
      [build.road, build.baseBuildId, build.images?.length],
      ['build', undefined, 5],
      JSON.stringify(build.images),
    )
    assert.ok((build.progress?.steps ?? 0) > 5)
    assert.ok((build.progress?.targetsSeen ?? 0) > 2)
    assert.deepEqual(await harness.leftovers({ buildId: id }), [])
  })

  it('tells that it is ready', async () => {
    const response = await fetch(`${builder.url}/readyz`)
    assert.equal(response.status, 200)
    assert.deepEqual(await response.json(), {
      status: 'ready',
      dependencies: { redis: 'ok', 'object-store': 'ok', docker: 'ok', buildkit: 'ok' },
    })
  })

  it('names the target that refuses user-data for which no room is reserved', async () => {
    const refused = `stylus: {}\n${'# padding\n'.repeat(150)}`
    const id = await harness.submit({ inputs: { userData: await harness.upload(refused) } })
    const { state, failure } = await harness.ended(id)
    assert.equal(state, 'failed')
    assert.equal(failure?.failingTarget, '+validate-user-data')
    assert.equal(failure.type, 'urn:edgesmith:problem:target-failed')
    const { lastLines } = failure
    assert.ok(
      lastLines.some((line) => line.includes('#cloud-config')),
      lastLines.join('\n'),
    )
  })

  it('lays every input where CanvOS takes it from', async () => {
    const id = await harness.submit({
      arguments: { ISO_NAME: 'with-inputs' },
      inputs: {
        userData: await harness.upload(userData),
        contentBundles: [await harness.upload(bundle, 'core.tar.zst')],
        clusterDefinition: await harness.upload(gzipSync('profile'), 'cluster.tgz'),
      },
    })
    const build = await harness.ended(id)
    assert.equal(build.state, 'succeeded', JSON.stringify(build.failure, null, 1))
    const iso = build.artifacts.find(({ name }) => name === 'with-inputs.iso')
    assert.ok(iso !== undefined)
    const image = await harness.image(iso)
    const files = new Map<string, string>()
    for await (const { type, path, extents } of walkTree(image, (await readVolumes(image)).primary)) {
      const [extent] = extents
      if (type !== 'file' || extent === undefined || extent.length > 4096) continue
      files.set(path, (await image.read(extent.offset, extent.length)).toString('latin1'))
    }
    const contents = [...files.values()]
    assert.ok(contents.includes(userData), [...files.keys()].join(' '))
    assert.ok(contents.includes(bundle.toString('latin1')), [...files.keys()].join(' '))
    assert.ok([...files.keys()].some((path) => path.endsWith('spc.tgz')))
  })

  for (const target of ['provider-images', 'all-images'] as const) {
    it(`pushes the images of ${target}`, async () => {
      const registry = Object.values(harness.registryArguments)[0]?.split('/')[0] ?? ''
      const customTag = randomUUID().slice(0, 8)
      const id = await harness.submit({
        target,
        arguments: {
          IMAGE_REGISTRY: `${registry}/test`,
          IMAGE_REPO: 'provider',
          CUSTOM_TAG: customTag,
          K8S_VERSION: '1.33.5',
        },
      })
      const build = await harness.ended(id)
      assert.equal(build.state, 'succeeded', JSON.stringify(build.failure, null, 1))
      const response = await fetch(`http://${registry}/v2/test/provider/tags/list`)
      const { tags } = (await response.json()) as { tags: string[] }
      assert.ok(tags.includes(`k3s-1.33.5-${fixtureTag}-${customTag}`), tags.join(' '))
      const images = build.artifacts.filter(({ name }) => name.endsWith('.iso'))
      assert.equal(images.length, target === 'all-images' ? 1 : 0)
    })
  }
})
