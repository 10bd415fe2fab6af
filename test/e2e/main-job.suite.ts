import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, it } from 'node:test'
import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import type { Problem } from '@edgesmith/contract/problem'
import type { ProvenanceKey } from '@edgesmith/contract/provenance'
import { openDocker } from '@edgesmith/engine/docker'
import { labelFilter } from '@edgesmith/engine/labels'
import { checkIso } from '@edgesmith/iso/check'
import { openFile } from '@edgesmith/iso/file'
import { openFileReader } from '@edgesmith/iso/random-access'
import { parseKey } from '@edgesmith/provenance/keys'
import { verifyProvenance } from '@edgesmith/provenance/verify'
import { ApiClient, download } from '../../deploy/quickstart/api-client.ts'
import { fetch, operatorKey } from '../support/as-operator.ts'
import { fromSetUp } from '../support/environment.ts'
import { makeInputs, toForm, type Inputs } from './inputs.ts'
import { assertBoots, describeVariants, type Boot } from './variants.suite.ts'

/** A service to test. */
export type System = AsyncDisposable & { readonly url: string }

const base = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }

function specOf(tag: string) {
  return { target: 'iso', canvos: { tag }, arguments: { ...base, ISO_NAME: 'store-0042' } }
}

/**
 * The main job, end to end: inputs go in over HTTP, real Earthly builds in containers, and the ISO
 * that comes out by signed URL has them inside and boots.
 */
export function describeMainJob(name: string, boots: readonly Boot[], start: () => Promise<System>): void {
  describe(`the main job on ${name}`, () => {
    const docker = openDocker({ host: fromSetUp('DOCKER_HOST') })
    let system: System
    let api: ApiClient
    let directory: string
    let inputs: Inputs
    let build: Build
    let iso: string

    before(async () => {
      directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-e2e-'))
      inputs = await makeInputs()
      system = await start()
      api = new ApiClient(system.url, operatorKey)
    })
    after(async () => {
      await system[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    })

    async function submit(spec: object, files?: Inputs): Promise<Build> {
      return api.createBuild(toForm(spec, files))
    }

    /** Follows a build to its end. */
    async function follow(id: string, see: (event: BuildEvent) => Promise<void> | void = () => undefined) {
      const events: BuildEvent[] = []
      for await (const event of api.followBuild(id)) {
        events.push(event)
        await see(event)
      }
      return { events, build: await api.getBuild(id) }
    }

    async function leftovers(buildId: string): Promise<string[]> {
      const filters = labelFilter({ buildId })
      const containers = await docker.listContainers({ all: true, filters })
      const networks = await docker.listNetworks({ filters })
      const { Volumes: volumes } = await docker.listVolumes({ filters })
      return [
        ...containers.flatMap((container) => container.Names),
        ...networks.map((network) => network.Name),
        ...volumes.map((volume) => volume.Name),
      ]
    }

    it('builds an installer ISO in an isolated container', async () => {
      const submitted = await submit(specOf('v4.10.0'), inputs)
      let inspected = 0
      const { events, build: ended } = await follow(submitted.id, async (event) => {
        if (event.type === 'state' || inspected > 0) return
        const filters = labelFilter({ buildId: submitted.id })
        for (const { Id } of await docker.listContainers({ filters })) {
          const { HostConfig, Config, Mounts } = await docker.getContainer(Id).inspect()
          assert.deepEqual(HostConfig.CapDrop, ['ALL'])
          assert.deepEqual((HostConfig.CapAdd as string[] | null) ?? [], [])
          assert.equal(HostConfig.Privileged, false)
          assert.equal(HostConfig.ReadonlyRootfs, true)
          assert.ok(
            (HostConfig.SecurityOpt as string[]).some((option) => option.startsWith('no-new-privileges')),
          )
          assert.ok((HostConfig.Memory ?? 0) > 0)
          assert.ok((HostConfig.NanoCpus ?? 0) > 0)
          assert.ok((HostConfig.PidsLimit ?? 0) > 0)
          assert.notEqual(Config.User.split(':')[0], '0')
          assert.ok(Config.User !== '')
          assert.ok(Mounts.every((mount) => mount.Type !== 'bind' && !mount.Source.endsWith('docker.sock')))
          inspected += 1
        }
      })
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.failure))
      assert.equal(ended.road, 'build')
      assert.equal(inspected, 1, 'the client container was inspected while it ran')
      assert.deepEqual(await leftovers(ended.id), [])

      const states = events.flatMap((event) => (event.type === 'state' ? [event.state] : []))
      assert.deepEqual(states, ['queued', 'running', 'succeeded'])
      assert.ok(events.some((event) => event.type === 'progress' && event.progress.target === '+build-iso'))
      const log = await (await fetch(`${system.url}/v1/builds/${ended.id}/logs`)).text()
      const lines = events.flatMap((event) => (event.type === 'log' ? [`${event.line}\n`] : []))
      assert.ok(lines.length > 10)
      assert.equal(log, lines.join(''))
      build = ended
    })

    it('proves that the inputs are inside, and says which cannot be proved', () => {
      const { proof } = build
      assert.deepEqual(proof?.inputs.map(({ pointer, paths }) => [pointer, ...paths]).sort(), [
        ['/inputs/clusterDefinition', '/opt/spectrocloud/clusterconfig/spc.tgz'],
        ['/inputs/contentBundles/0', '/opt/spectrocloud/content/core-content.tar.zst_part00'],
        ['/inputs/contentBundles/1', '/opt/spectrocloud/content/extra.zst_part00'],
        ['/inputs/edgeCustomConfig', '/.edge_custom_config.yaml'],
        ['/inputs/userData', '/files-iso/config.yaml'],
      ])
      assert.deepEqual(proof.unproved.map(({ pointer }) => pointer).sort(), [
        '/inputs/certs/0',
        '/inputs/localUi',
      ])
    })

    it('hands out every file of build/ by signed URL', async () => {
      assert.deepEqual(build.artifacts.map((artifact) => artifact.name).sort(), [
        'store-0042.iso',
        'store-0042.iso.sha256',
      ])
      for (const artifact of build.artifacts) {
        const file = path.join(directory, artifact.name)
        const { url } = await api.createDownloadUrl(artifact)
        assert.equal(await download(url, file), await api.getChecksum(artifact))
      }
      iso = path.join(directory, 'store-0042.iso')
      const checksum = await readFile(`${iso}.sha256`, 'utf8')
      assert.equal(
        checksum.split(' ')[0],
        build.artifacts.find(({ name }) => name === 'store-0042.iso')?.sha256,
      )
    })

    it('tells by signed provenance how it was made, which the ISO is verified with', async () => {
      const artifact = build.artifacts.find(({ name }) => name === 'store-0042.iso')
      const response = await fetch(`${system.url}/v1/artifacts/${artifact?.id ?? ''}/provenance`)
      const { items } = (await (await fetch(`${system.url}/v1/provenance-keys`)).json()) as {
        items: ProvenanceKey[]
      }
      const hash = createHash('sha256')
      await pipeline(createReadStream(iso), hash)
      const { predicate } = verifyProvenance({
        ...{ provenance: await response.text(), sha256: hash.digest('hex') },
        keys: items.map(({ pem }) => parseKey(pem)),
      })
      const { resolvedDependencies } = predicate.buildDefinition
      const digestOf = (wanted: string) => resolvedDependencies.find(({ name }) => name === wanted)?.digest
      assert.deepEqual(digestOf('canvos'), { gitCommit: build.canvos.commit })
      const userData = createHash('sha256').update(inputs.userData).digest('hex')
      assert.deepEqual(digestOf('/inputs/userData'), { sha256: userData })
      assert.ok((build.images ?? []).length > 0)
      for (const { reference, digest } of build.images ?? []) {
        assert.deepEqual(digestOf(reference), { sha256: digest.replace('sha256:', '') })
      }
      assert.match(build.engine?.images[0] ?? '', /^sha256:/)
    })

    it('tells of a root file system without a database of packages that there is none to list', async () => {
      const artifact = build.artifacts.find(({ name }) => name === 'store-0042.iso')
      const response = await fetch(`${system.url}/v1/artifacts/${artifact?.id ?? ''}/sbom`)
      const { type, detail } = (await response.json()) as Problem
      // That of the fixture is busybox and a kernel.
      assert.equal(type, 'urn:edgesmith:problem:sbom-unavailable')
      assert.equal(detail, 'It has no database of dpkg, rpm or apk.')
    })

    it('has each input inside the ISO, byte for byte', async () => {
      await using reader = await openFileReader(iso)
      const { faults, bootEntries } = await checkIso(reader)
      assert.deepEqual(faults, [])
      assert.deepEqual(new Set(bootEntries.map((entry) => entry.platform)), new Set(['bios', 'efi']))
      const expected: Record<string, Buffer> = {
        '/files-iso/config.yaml': inputs.userData,
        '/opt/spectrocloud/clusterconfig/spc.tgz': inputs.clusterDefinition,
        '/.edge_custom_config.yaml': inputs.edgeCustomConfig,
      }
      for (const [bundle, bytes] of Object.entries(inputs.bundles)) {
        expected[`/opt/spectrocloud/content/${bundle}_part00`] = bytes
      }
      for (const [file, bytes] of Object.entries(expected)) {
        assert.ok((await buffer(await openFile(reader, file))).equals(bytes), file)
      }
    })

    it('boots and finds its inputs', async () => {
      const [boot] = boots
      assert.ok(boot !== undefined)
      await assertBoots(iso, boot, inputs)
    })

    describeVariants('the same release', boots, () =>
      Promise.resolve({ api, url: system.url, directory, spec: specOf('v4.10.0'), inputs, build }),
    )

    if (boots.length > 1) {
      describeVariants('a release whose ISO has no GPT', boots, async () => {
        const spec = specOf('v4.9.36')
        const old = await makeInputs()
        const { build: first } = await follow((await submit(spec, old)).id)
        assert.equal(first.road, 'build', JSON.stringify(first.failure))
        return { api, url: system.url, directory, spec, inputs: old, build: first }
      })
    }

    it('names the failing target, the exit code and the last lines when the build fails', async () => {
      const registry = (await readFile(fromSetUp('EDGESMITH_TEST_CANVOS_ARG_FILE'), 'utf8'))
        .split('=')[1]
        ?.trim()
      const { id } = await submit({ arguments: { ...base, BASE_IMAGE: `${registry ?? ''}/not-there:1` } })
      const { build: failed, events } = await follow(id)
      assert.equal(failed.state, 'failed')
      assert.equal(failed.failure?.type, 'urn:edgesmith:problem:image-unavailable')
      assert.equal(failed.failure.failingTarget, '+base-image')
      assert.equal(failed.failure.exitCode, 1)
      assert.match(
        failed.failure.detail,
        /not-there:1, which \+base-image needs, cannot be pulled: not found/,
      )
      assert.match(failed.failure.lastLines.join('\n'), /not-there/)
      assert.deepEqual(failed.artifacts, [])
      const last = events.at(-1)
      assert.ok(last?.type === 'state')
      assert.deepEqual(last.failure, failed.failure)
      assert.deepEqual(await leftovers(id), [])
    })

    it('stops a running build that is canceled, and one that takes too long', async () => {
      const canceled = await submit({
        arguments: { ...base, ISO_NAME: 'canceled' },
        canvos: { tag: 'v4.9.36' },
      })
      let asked = false
      const { build: first } = await follow(canceled.id, async (event) => {
        if (asked || event.type !== 'log') return
        asked = true
        const response = await fetch(`${system.url}/v1/builds/${canceled.id}/cancel`, { method: 'POST' })
        assert.equal(response.status, 202)
      })
      assert.deepEqual([first.state, first.failure?.type], ['canceled', 'urn:edgesmith:problem:canceled'])
      assert.deepEqual(await leftovers(first.id), [])

      const { id } = await submit({
        arguments: { ...base, ISO_NAME: 'late' },
        canvos: { tag: 'v4.9.36' },
        timeoutSeconds: 1,
      })
      const { build: second } = await follow(id)
      assert.deepEqual([second.state, second.failure?.type], ['timed-out', 'urn:edgesmith:problem:timed-out'])
      assert.deepEqual(await leftovers(id), [])
    })
  })
}
