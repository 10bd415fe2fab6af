import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { before, describe, it } from 'node:test'
import type { Build } from '@edgesmith/contract/build'
import { openFile } from '@edgesmith/iso/file'
import { openFileReader } from '@edgesmith/iso/random-access'
import { fetch } from '../support/as-operator.ts'
import { download, type ApiClient } from '../../deploy/quickstart/api-client.ts'
import { bootIso, type Firmware, type Medium } from '../boot/qemu.ts'
import { assertSameFiles } from '../support/same-files.ts'
import { makeInputs, sha256, toForm, type Inputs } from './inputs.ts'

export type Boot = readonly [Medium, Firmware]

/** What the variants are made of: a build that ran Earthly, and what it was made from. */
export type Original = {
  readonly api: ApiClient
  readonly url: string
  /** Where downloaded files go. */
  readonly directory: string
  readonly spec: object
  readonly inputs: Inputs
  readonly build: Build
}

type Variant = { readonly name: string; readonly inputs: Inputs; readonly build: Build; readonly iso: string }

/** Boots an ISO and asserts that it finds its inputs. */
export async function assertBoots(iso: string, [medium, firmware]: Boot, inputs: Inputs): Promise<void> {
  const { report } = await bootIso({ iso, medium, firmware })
  assert.equal(report.firmware, firmware)
  assert.equal(report.medium, medium === 'cd' ? 'cdrom' : 'usb')
  assert.equal(report.userData?.site, inputs.site)
  assert.equal(report.userData.sha256, sha256(inputs.userData))
  assert.equal(report.clusterDefinition?.sha256, sha256(inputs.clusterDefinition))
  assert.equal(report.edgeCustomConfig?.sha256, sha256(inputs.edgeCustomConfig))
  assert.deepEqual(
    Object.fromEntries(report.content.map((part) => [part.name, part.sha256])),
    Object.fromEntries(
      Object.entries(inputs.bundles).map(([bundle, bytes]) => [`${bundle}_part00`, sha256(bytes)]),
    ),
  )
  assert.equal(report.localUiFiles, 1)
}

/** The ISOs that are made of what a build left: by new user-data, and by other files around its root file system. */
export function describeVariants(
  name: string,
  boots: readonly Boot[],
  getOriginal: () => Promise<Original>,
): void {
  describe(`the variants of ${name}`, () => {
    let original: Original
    let stamped: Variant
    let composed: Variant
    before(async () => {
      original = await getOriginal()
    })

    /** Submits a build and waits for its end; tells in which state the submission was answered. */
    async function make(inputs: Inputs, cache: 'use' | 'bypass') {
      const { api, spec } = original
      const { id, state } = await api.createBuild(toForm({ ...spec, cache }, inputs))
      for await (const event of api.followBuild(id))
        assert.ok(event.type !== 'state' || event.state !== 'failed')
      const build = await api.getBuild(id)
      assert.equal(build.state, 'succeeded', JSON.stringify(build.failure))
      const log = await (await fetch(`${original.url}/v1/builds/${id}/logs`)).text()
      return { build, answered: state, ranEarthly: /^\+iso \| /m.test(log) }
    }

    async function fetchIso(build: Build, fileName: string): Promise<string> {
      const { api, directory } = original
      const [iso, sums] = build.artifacts
      assert.ok(iso !== undefined && sums !== undefined)
      assert.equal(build.artifacts.length, 2)
      assert.equal(sums.name, `${iso.name}.sha256`)
      const file = path.join(directory, fileName)
      const digest = await download((await api.createDownloadUrl(iso)).url, file)
      assert.equal(digest, await api.getChecksum(iso))
      await download((await api.createDownloadUrl(sums)).url, `${file}.sha256`)
      assert.equal(await readFile(`${file}.sha256`, 'utf8'), `${digest}  ${iso.name}\n`)
      return file
    }

    async function keep(name: string, inputs: Inputs, build: Build): Promise<Variant> {
      const iso = await fetchIso(build, `${name}-${build.id}.iso`)
      await using reader = await openFileReader(iso)
      assert.ok((await buffer(await openFile(reader, '/files-iso/config.yaml'))).equals(inputs.userData))
      return { name, inputs, build, iso }
    }

    it('stamps other user-data while it answers the submission', async () => {
      const other = await makeInputs()
      const inputs: Inputs = { ...original.inputs, site: other.site, userData: other.userData }
      const { build, answered, ranEarthly } = await make(inputs, 'use')
      assert.deepEqual(
        [answered, build.road, build.baseBuildId, ranEarthly],
        ['succeeded', 'stamp', original.build.id, false],
      )
      assert.deepEqual(
        build.proof?.inputs.find(({ pointer }) => pointer === '/inputs/userData')?.sha256,
        sha256(inputs.userData),
      )
      stamped = await keep('stamped', inputs, build)
    })

    it('answers an equal build from the store', async () => {
      const { build, answered, ranEarthly } = await make(stamped.inputs, 'use')
      assert.deepEqual(
        [answered, build.road, build.key, ranEarthly],
        ['succeeded', 'stamp', stamped.build.key, false],
      )
      assert.notEqual(build.id, stamped.build.id)
      const again = await keep('again', stamped.inputs, build)
      assert.ok((await readFile(again.iso)).equals(await readFile(stamped.iso)))
    })

    it('lays other bundles, another definition and another key around the root file system', async () => {
      const { localUi, cert } = original.inputs
      const inputs: Inputs = { ...(await makeInputs()), localUi, cert }
      const { build, ranEarthly } = await make(inputs, 'use')
      assert.deepEqual([build.road, build.baseBuildId, ranEarthly], ['compose', original.build.id, false])
      composed = await keep('composed', inputs, build)
    })

    it('has the files of an ISO that Earthly builds of the same inputs', async () => {
      for (const variant of [stamped, composed]) {
        const { build, ranEarthly } = await make(variant.inputs, 'bypass')
        assert.deepEqual([build.road, build.key, ranEarthly], ['build', variant.build.key, true])
        const full = await fetchIso(build, `full-${variant.name}.iso`)
        await using made = await openFileReader(variant.iso)
        await using built = await openFileReader(full)
        await assertSameFiles(made, built)
      }
    })

    describe('boot', { concurrency: 2 }, () => {
      for (const [medium, firmware] of boots) {
        it(`stamped, from ${medium} with ${firmware} firmware`, () =>
          assertBoots(stamped.iso, [medium, firmware], stamped.inputs))
        it(`composed, from ${medium} with ${firmware} firmware`, () =>
          assertBoots(composed.iso, [medium, firmware], composed.inputs))
      }
    })
  })
}
