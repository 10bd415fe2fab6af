import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { buffer, text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { queuePrefix } from '@edgesmith/builds/build-keys'
import { jobId, queueName } from '@edgesmith/builds/build-queue'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { describeFailure, finishBuild, type Outcome } from '@edgesmith/builds/build-state'
import type { Fleet } from '@edgesmith/contract/fleet'
import { findFile, openFile } from '@edgesmith/iso/file'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { fetch } from '../../../test/support/as-operator.ts'
import { makeInputs } from '../../../test/e2e/inputs.ts'
import { path as userDataPath } from '../../../test/support/image-workshop.ts'
import { FleetBuilder } from './fleet-builder.ts'
import { fleetBuild, FleetClient, fleetTemplate, sitesOf, until, userDataOf } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

const content = '/opt/spectrocloud/content'
const definitionPath = '/opt/spectrocloud/clusterconfig/spc.tgz'
const customConfigPath = '/.edge_custom_config.yaml'
const local = 'stylus:\n  managementMode: local'

describe('fleets whose sites have files of their own', () => {
  let harness: Harness
  let builder: FleetBuilder
  let client: FleetClient
  before(async () => {
    harness = await startHarness({ uploadLimitBytes: 10_000_000 })
    builder = await FleetBuilder.open(harness)
    client = new FleetClient(harness.url)
  })
  after(async () => {
    await builder[Symbol.asyncDispose]()
    await harness[Symbol.asyncDispose]()
  })

  /** Files of one site, uploaded. */
  async function uploads() {
    const files = await makeInputs()
    const [[bundleName, bundle] = ['', Buffer.alloc(0)]] = Object.entries(files.bundles)
    const bundleId = await client.upload(bundle, bundleName)
    const definitionId = await client.upload(files.clusterDefinition, 'cluster.tgz')
    return { files, bundleName, bundle, bundleId, definitionId }
  }

  async function open(url: string): Promise<{ image: RandomAccess; sha256: string }> {
    const response = await fetch(url)
    assert.equal(response.status, 200)
    const bytes = Buffer.from(await response.arrayBuffer())
    const read = (offset: number, length: number) => Promise.resolve(bytes.subarray(offset, offset + length))
    return {
      image: { size: bytes.length, read },
      sha256: createHash('sha256').update(bytes).digest('hex'),
    }
  }

  async function assertFile(image: RandomAccess, path: string, expected: Buffer): Promise<void> {
    const found = await buffer(await openFile(image, path))
    assert.ok(found.equals(expected), `${path} has ${found.length} other bytes`)
  }

  /** The ISO of each site, in the order of the table, once the fleet has ended and its checksums are known. */
  async function handedOut(fleet: Fleet) {
    const ended = await client.ended(fleet.id)
    const builds = await client.builds(fleet.id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(builds.map(({ failure }) => failure)))
    assert.equal(ended.builds.succeeded, fleet.sites)
    const sums = await until(
      () => fetch(`${harness.url}/v1/fleets/${fleet.id}/downloads?format=sha256sum`),
      ({ status }) => status !== 409,
    )
    const lines = (await sums.text()).trimEnd().split('\n')
    const { items, missing, checksumsMissing } = await client.downloads(fleet.id)
    assert.deepEqual([items.length, missing, checksumsMissing], [fleet.sites, 0, 0])
    return Promise.all(
      items.map(async ({ site, url, name, sha256 }, index) => {
        const opened = await open(url)
        assert.equal(sha256, opened.sha256)
        assert.equal(lines[index], `${opened.sha256}  ${name}`)
        return { site, build: builds[index], image: opened.image }
      }),
    )
  }

  it(
    'lays them around the same root file system, as a JSON table has them',
    { timeout: 120_000 },
    async () => {
      const first = await uploads()
      const second = await uploads()
      const customConfig = second.files.edgeCustomConfig
      const encoded = /base64EncodedValue: (\S+)/.exec(customConfig.toString())?.[1] ?? ''
      const publicKey = await client.upload(Buffer.from(encoded, 'base64'), 'key.pem')
      const [plain, another, ...others] = sitesOf(4)
      assert.ok(plain && another && others[0] && others[1])
      const fleet = await client.submit({
        // The mode in which a key is of use.
        userDataTemplate: fleetTemplate.replace('stylus:', local),
        sites: [
          plain,
          {
            ...another,
            inputs: {
              contentBundles: [{ upload: first.bundleId, fileName: first.bundleName }],
              clusterDefinition: { upload: first.definitionId },
            },
          },
          { ...others[0], inputs: { publicKey: { upload: publicKey } } },
          others[1],
        ],
      })
      const leader = (await client.sites(fleet.id))[0]?.buildId ?? ''
      await builder.recordBaseOf(fleet.id, leader)
      await using _workers = builder.start()
      await using _builds = builder.startBuilds(harness.environment)
      const sites = await handedOut(fleet)
      assert.deepEqual(
        sites.map(({ build }) => [build?.road, build?.baseBuildId === leader || build?.id === leader]),
        [
          ['stamp', true],
          ['compose', true],
          ['compose', true],
          ['stamp', true],
        ],
      )
      for (const [index, { image, site }] of sites.entries()) {
        assert.equal(
          await text(await openFile(image, userDataPath)),
          userDataOf(site, `00${index}`).replace('stylus:', local),
        )
      }
      const [of0, of1, of2] = sites
      assert.ok(of0 && of1 && of2)
      await assertFile(of1.image, `${content}/${first.bundleName}_part00`, first.bundle)
      await assertFile(of1.image, definitionPath, first.files.clusterDefinition)
      assert.match(await text(await openFile(of2.image, customConfigPath)), new RegExp(encoded.slice(0, 40)))
      await assert.rejects(findFile(of0.image, definitionPath), { code: 'file-not-found' })
      await assert.rejects(findFile(of1.image, customConfigPath), { code: 'file-not-found' })
      await assert.rejects(findFile(of2.image, definitionPath), { code: 'file-not-found' })
    },
  )

  it(
    'takes them in place of the files of all, as the columns of a CSV table have them',
    { timeout: 120_000 },
    async () => {
      const common = await uploads()
      const own = await uploads()
      const bundles = Object.entries(own.files.bundles)
      const ids = await Promise.all(bundles.map(([name, bytes]) => client.upload(bytes, name)))
      const body = new FormData()
      const attach = (name: string, bytes: Buffer | string, fileName: string) => {
        body.append(name, new Blob([typeof bytes === 'string' ? bytes : new Uint8Array(bytes)]), fileName)
      }
      attach('spec', JSON.stringify({ build: fleetBuild }), 'spec.json')
      attach('template', fleetTemplate, 'template.yaml')
      attach('contentBundle', common.bundle, common.bundleName)
      attach(
        'sites',
        `site,token,input.contentBundle,input.clusterDefinition\nstore-0,000,,\nstore-1,001,${ids.join(' ')},\nstore-2,002,,${own.definitionId}\n`,
        'sites.csv',
      )
      const fleet = await client.post<Fleet>('/v1/fleets', { body }, 202)
      const leader = (await client.sites(fleet.id))[0]?.buildId ?? ''
      await builder.recordBaseOf(fleet.id, leader)
      await using _workers = builder.start()
      await using _builds = builder.startBuilds(harness.environment)
      const sites = await handedOut(fleet)
      assert.deepEqual(
        sites.map(({ build }) => build?.road),
        ['stamp', 'compose', 'compose'],
      )
      const [, of1, of2] = sites
      assert.ok(of1 && of2)
      for (const [name, bytes] of bundles) await assertFile(of1.image, `${content}/${name}_part00`, bytes)
      await assert.rejects(findFile(of1.image, definitionPath), { code: 'file-not-found' })
      await assertFile(of2.image, `${content}/${common.bundleName}_part00`, common.bundle)
      await assertFile(of2.image, definitionPath, own.files.clusterDefinition)
      assert.deepEqual(of2.build?.spec.inputs?.contentBundles, [
        { upload: common.bundleId, fileName: common.bundleName },
      ])
    },
  )

  it('tells of files that are not there, or are not what they should be, by row', async () => {
    const { bundleId } = await uploads()
    const before = await harness.keys()
    const absent = `sha256:${'0'.repeat(64)}`
    const sites = sitesOf(3).map((site, index) => ({
      ...site,
      inputs: { clusterDefinition: { upload: index === 1 ? absent : bundleId } },
    }))
    const spec = JSON.stringify({ build: fleetBuild, userDataTemplate: fleetTemplate, sites })
    const response = await fetch(`${harness.url}/v1/fleets`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: spec,
    })
    assert.equal(response.status, 422)
    const { errors } = (await response.json()) as { errors: { pointer: string; code: string }[] }
    const told = errors.map(({ pointer, code }) => `${pointer} ${code}`)
    assert.ok(
      told.includes('/sites/1/inputs/clusterDefinition/upload input.upload-not-found'),
      told.join('\n'),
    )
    for (const row of [0, 2])
      assert.ok(
        told.some((one) => one.startsWith(`/sites/${row}/inputs/`)),
        told.join('\n'),
      )
    assert.deepEqual(
      (await harness.keys()).filter((key) => !key.startsWith('uploads/used/')),
      before.filter((key) => !key.startsWith('uploads/used/')),
    )
  })

  it('refuses a site whose ISO would have too long a name', async () => {
    const prefix = 'a'.repeat(90)
    const build = { ...fleetBuild, arguments: { ...fleetBuild.arguments, ISO_NAME: prefix } }
    const sites = [
      { name: 'ab-cd', values: { token: 'x' } },
      { name: 'ab-cde', values: { token: 'x' } },
    ]
    const response = await fetch(`${harness.url}/v1/fleets`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ build, userDataTemplate: fleetTemplate, sites }),
    })
    const { errors } = (await response.json()) as { errors: { pointer: string; code: string }[] }
    assert.deepEqual(
      errors.filter(({ code }) => code === 'sites.iso-name').map(({ pointer }) => pointer),
      ['/sites/1/name'],
    )
  })

  describe('that bypass what earlier builds left', () => {
    const bypassing = (version: string) => ({
      ...fleetBuild,
      arguments: { ...fleetBuild.arguments, OS_VERSION: version },
      cache: 'bypass',
    })

    /** Runs the build of a site as a builder does that has Docker, up to its end. */
    async function run(buildId: string, work: () => Promise<Outcome>): Promise<void> {
      const { run: claimed } = await builder.repository.claim(buildId, 1, new Date())
      const outcome = await work()
      const { redis, repository, events } = builder
      const parts = { stores: harness.stores, redis, repository, events }
      const at = new Date()
      await concludeBuild(parts, buildId, (build) => finishBuild(build, outcome, at), at, { run: claimed })
    }

    async function untilQueued(buildId: string): Promise<void> {
      await until(
        () => builder.redis.exists(`${queuePrefix}:${queueName}:${jobId({ buildId, attempt: 1 })}`),
        (count) => count === 1,
      )
    }

    it(
      'have one build of theirs run Earthly, and take all from what it leaves',
      { timeout: 120_000 },
      async () => {
        const { bundleId, bundleName, bundle } = await uploads()
        const [plain, other, own] = sitesOf(3)
        assert.ok(plain && other && own)
        const inputs = { contentBundles: [{ upload: bundleId, fileName: bundleName }] }
        const fleet = await client.submit({
          build: bypassing('24.04'),
          sites: [plain, other, { ...own, inputs }],
        })
        await builder.recordBaseOf(fleet.id, '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11')
        const leader = (await client.sites(fleet.id))[0]?.buildId ?? ''
        await using _workers = builder.start()
        await untilQueued(leader)
        assert.deepEqual((await client.fleet(fleet.id)).builds.queued, 3)
        await run(leader, async () => {
          await builder.recordBaseOf(fleet.id, leader)
          return { state: 'succeeded', artifacts: [] }
        })
        await using _builds = builder.startBuilds(harness.environment)
        assert.equal((await client.ended(fleet.id)).state, 'succeeded')
        const [, stamped, composed] = await client.builds(fleet.id)
        assert.deepEqual(
          [stamped?.road, stamped?.baseBuildId, composed?.road, composed?.baseBuildId, composed?.spec.cache],
          ['stamp', leader, 'compose', leader, 'bypass'],
        )
        const ofOwn = (await client.downloads(fleet.id)).items.find(({ site }) => site === own.name)
        const { image } = await open(ofOwn?.url ?? '')
        await assertFile(image, `${content}/${bundleName}_part00`, bundle)
      },
    )

    it('fail when that build does, though there is an earlier base', { timeout: 60_000 }, async () => {
      const fleet = await client.submit({ build: bypassing('20.04') })
      await builder.recordBaseOf(fleet.id, '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11')
      const leader = (await client.sites(fleet.id))[0]?.buildId ?? ''
      await using _workers = builder.start()
      await untilQueued(leader)
      await run(leader, () =>
        Promise.resolve({
          state: 'failed',
          failure: describeFailure('target-failed', '+base-image failed.'),
        }),
      )
      const ended = await client.ended(fleet.id)
      assert.deepEqual([ended.state, ended.builds.failed], ['failed', 5])
      const builds = await client.builds(fleet.id)
      for (const build of builds.slice(1)) assert.match(build.failure?.detail ?? '', /\+base-image failed/)
    })
  })
})
