import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { recordImage } from '@edgesmith/artifacts/artifacts'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { finishBuild } from '@edgesmith/builds/build-state'
import type { Artifact } from '@edgesmith/contract/artifact'
import { makeManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { operatorKey } from '../../../test/support/as-operator.ts'
import { projectPrefix } from '@edgesmith/store/project-stores'
import { ownProject } from '../../../test/support/projects.ts'
import { openTar, tarSize } from '../src/fleet-tar.ts'
import { FleetBuilder } from './fleet-builder.ts'
import { FleetClient, sitesOf, until } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

const MiB = 1024 ** 2
const GiB = 1024 * MiB
const large = 8 * GiB + 2048
const objectSize = 64 * MiB

describe('the tar of a fleet', () => {
  let harness: Harness
  let builder: FleetBuilder
  let client: FleetClient
  before(async () => {
    harness = await startHarness()
    builder = await FleetBuilder.open(harness)
    client = new FleetClient(harness.url)
    await harness.store.put('content', Buffer.alloc(objectSize, 'content'))
  })
  after(async () => {
    await builder[Symbol.asyncDispose]()
    await harness[Symbol.asyncDispose]()
  })

  const objectFile = (key: string) =>
    join(harness.environment['OBJECT_DIRECTORY'] ?? '', '.objects', projectPrefix(ownProject), key)

  /** A fleet whose sites have these images. */
  async function fleetOf(...manifests: Manifest[]): Promise<{ id: string; isos: Artifact[] }> {
    const { id } = await client.submit({ sites: sitesOf(manifests.length) })
    const isos: Artifact[] = []
    const { redis, repository, events } = builder
    for (const [index, { buildId, site }] of (await client.sites(id)).entries()) {
      const manifest = manifests[index]
      assert.ok(manifest)
      const iso = await recordImage(harness.store, { buildId, name: `${site}.iso`, manifest })
      isos.push(iso)
      const { run } = await repository.claim(buildId, 1, new Date())
      const parts = { stores: harness.stores, redis, repository, events }
      const finish = (build: Parameters<typeof finishBuild>[0]) =>
        finishBuild(build, { state: 'succeeded', artifacts: [iso] }, new Date())
      await concludeBuild(parts, buildId, finish, new Date(), { run })
    }
    return { id, isos }
  }

  it('has files of 8 GiB and more, in constant memory', { timeout: 180_000 }, async () => {
    const { isos } = await fleetOf(
      makeManifest([
        { length: 512, object: 'content', offset: 0 },
        { length: large - 1024, zeros: true },
        { length: 512, object: 'content', offset: 1024 },
      ]),
      makeManifest([{ length: 5, object: 'content', offset: 0 }]),
    )
    const tar = spawn('tar', ['--list', '--verbose'], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(tar, 'close')
    const listing = text(tar.stdout)
    let bytes = 0
    let peak = 0
    const before = process.memoryUsage.rss()
    async function* counted(source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        bytes += chunk.length
        peak = Math.max(peak, process.memoryUsage.rss())
        yield chunk
      }
    }
    await pipeline(openTar(harness.store, isos), counted, tar.stdin)
    assert.deepEqual((await ended)[0], 0)
    const files = (await listing)
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/))
    assert.deepEqual(
      files.map(([, , size, , , name]) => [Number(size), name]),
      [
        [large, 'store-0.iso'],
        [5, 'store-1.iso'],
      ],
    )
    assert.equal(bytes, tarSize(isos))
    assert.ok(peak - before < 256 * MiB, `${(peak - before) / MiB} MiB`)
  })

  it('closes what it reads when its client goes', { timeout: 60_000 }, async () => {
    // 16 GiB of one object, again and again.
    const piece = { length: objectSize, object: 'content', offset: 0 }
    const whole = makeManifest(Array.from({ length: (16 * GiB) / objectSize }, () => piece))
    const { id } = await fleetOf(whole, whole)
    const openFiles = async () => {
      const links = (await readdir('/proc/self/fd')).map((fd) =>
        readlink(`/proc/self/fd/${fd}`).catch(() => ''),
      )
      return (await Promise.all(links)).filter((link) => link === objectFile('content'))
    }
    assert.deepEqual(await openFiles(), [])
    const url = `${harness.url}/v1/fleets/${id}/archive`
    const curl = spawn('curl', ['--silent', '--include', '--oauth2-bearer', operatorKey, url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(curl, 'close')
    let bytes = 0
    let head = ''
    for await (const chunk of curl.stdout as AsyncIterable<Buffer>) {
      if (bytes === 0) head = chunk.toString('latin1')
      bytes += chunk.length
      if (bytes > 10 * MiB) break
    }
    assert.match(head, new RegExp(`^content-length: ${2 * (16 * GiB + 512) + 1024}\r$`, 'im'))
    assert.equal((await openFiles()).length, 1)
    curl.kill('SIGKILL')
    await ended
    await until(openFiles, (links) => links.length === 0)
  })
})
