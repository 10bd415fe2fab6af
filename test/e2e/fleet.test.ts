import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import type { Build } from '@edgesmith/contract/build'
import type { Fleet, FleetDownload, FleetDownloads } from '@edgesmith/contract/fleet'
import type { Upload } from '@edgesmith/contract/upload'
import { openFile } from '@edgesmith/iso/file'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { fetch } from '../support/as-operator.ts'
import { startServiceProcess, type ServiceProcess } from '../../deploy/setup/service-process.ts'
import { removeWorker } from '../../deploy/setup/workers.ts'
import { fromSetUp } from '../support/environment.ts'
import { path as userDataPath } from '../support/image-workshop.ts'
import { serviceEnvironment } from './environment.ts'

const siteCount = Number(process.env['FLEET_TEST_SITES'] ?? 1000)
const sampleSize = 50
/** The site that has a content bundle of its own. */
const ownIndex = 1
const builderId = `e2e-fleet-${process.pid}`
const pollMs = 200

const template = `#cloud-config
stylus:
  site:
    edgeHostToken: {{token}}
    name: {{site}}
    projectName: stores
`

const siteName = (index: number) => `store-${String(index).padStart(4, '0')}`

/** Numbers that look random and are the same in every run (Park and Miller's generator). */
function* sample(size: number, below: number): Generator<number> {
  const taken = new Set<number>()
  for (let state = 20_260_314; taken.size < Math.min(size, below);) {
    state = (state * 48_271) % 2_147_483_647
    const number = state % below
    if (taken.has(number)) continue
    taken.add(number)
    yield number
  }
}

describe('a fleet over one real build', () => {
  const resources = new AsyncDisposableStack()
  let service: ServiceProcess
  before(async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-fleet-'))
    resources.defer(() => rm(directory, { recursive: true, force: true }))
    resources.defer(() => removeWorker(fromSetUp('DOCKER_HOST'), builderId))
    service = resources.use(
      await startServiceProcess({
        service: 'standalone',
        awaited: 'gateway',
        logFile: path.join(directory, 'standalone.log'),
        env: {
          ...(await serviceEnvironment()),
          EDGESMITH_DATA_DIRECTORY: path.join(directory, 'data'),
          BUILDER_ID: builderId,
        },
      }),
    )
  })
  after(() => resources.disposeAsync())

  async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
    for (;;) {
      const answer = await ask()
      if (fits(answer)) return answer
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }

  /** Sends the table of a fleet; answers the fleet once it has succeeded. */
  async function make(rows: readonly string[], cache: 'use' | 'bypass'): Promise<Fleet> {
    const form = new FormData()
    const build = {
      canvos: { tag: 'v4.10.0' },
      arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
      cache,
    }
    form.append('spec', new Blob([JSON.stringify({ build })]), 'spec.json')
    form.append('template', new Blob([template]), 'template.yaml')
    form.append('sites', new Blob([['site,token,input.contentBundle', ...rows].join('\n')]), 'sites.csv')
    const response = await fetch(`${service.url}/v1/fleets`, { method: 'POST', body: form })
    assert.equal(response.status, 202, await response.clone().text())
    const { id } = (await response.json()) as Fleet
    const fleet = await until(
      () => get<Fleet>(`/v1/fleets/${id}`),
      ({ state }) => state !== 'queued' && state !== 'running',
    )
    assert.equal(fleet.state, 'succeeded')
    return fleet
  }

  async function get<T>(address: string): Promise<T> {
    const response = await fetch(`${service.url}${address}`)
    assert.equal(response.status, 200)
    return (await response.json()) as T
  }

  async function upload(bytes: Buffer, name: string): Promise<string> {
    const form = new FormData()
    form.append('file', new Blob([new Uint8Array(bytes)]), name)
    const response = await fetch(`${service.url}/v1/uploads`, { method: 'POST', body: form })
    assert.ok(response.ok)
    return ((await response.json()) as Upload).id
  }

  async function fetchImage({ url }: FleetDownload): Promise<{ image: RandomAccess; sha256: string }> {
    const bytes = Buffer.from(await (await fetch(url)).arrayBuffer())
    const read = (offset: number, length: number) => Promise.resolve(bytes.subarray(offset, offset + length))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return { image: { size: bytes.length, read }, sha256 }
  }

  it('gives every site its user-data, its own files and its checksum', { timeout: 18 * 60_000 }, async () => {
    const bundle = zstdCompressSync(randomBytes(2_000_000))
    const uploadId = await upload(bundle, 'own.zst')
    const { id } = await make(
      Array.from({ length: siteCount }, (_, index) =>
        [siteName(index), `"0${index}: #"`, index === ownIndex ? uploadId : ''].join(','),
      ),
      'use',
    )
    const sums = await until(
      () => fetch(`${service.url}/v1/fleets/${id}/downloads?format=sha256sum`),
      ({ status }) => status !== 409,
    )
    const listed = new Map(
      (await sums.text()).split('\n').map((line): [string, string] => [line.slice(66), line.slice(0, 64)]),
    )
    const { items } = await get<FleetDownloads>(`/v1/fleets/${id}/downloads`)
    assert.equal(items.length, siteCount)
    for (const index of new Set([ownIndex, ...sample(sampleSize, siteCount)])) {
      const item = items[index]
      assert.ok(item)
      const { image, sha256 } = await fetchImage(item)
      assert.equal(listed.get(item.name), sha256)
      const name = siteName(index)
      assert.equal(item.site, name)
      assert.equal(
        await text(await openFile(image, userDataPath)),
        template.replace('{{token}}', `"0${index}: #"`).replace('{{site}}', `"${name}"`),
      )
      const found = openFile(image, '/opt/spectrocloud/content/own.zst_part00')
      if (index === ownIndex) assert.ok((await buffer(await found)).equals(bundle))
      else await assert.rejects(found, { code: 'file-not-found' })
    }
    const own = await get<Build>(`/v1/builds/${items[ownIndex]?.buildId ?? ''}`)
    assert.deepEqual([own.road, own.baseBuildId], ['compose', items[0]?.buildId])
  })

  it('runs Earthly once where it is to bypass what there is', { timeout: 10 * 60_000 }, async () => {
    const uploadId = await upload(zstdCompressSync(randomBytes(1_000_000)), 'another.zst')
    const { id } = await make(['store-1,1,', 'store-2,2,', `store-3,3,${uploadId}`], 'bypass')
    const { items } = await get<FleetDownloads>(`/v1/fleets/${id}/downloads`)
    const made = await Promise.all(
      items.map(async ({ buildId }) => {
        const { road, baseBuildId } = await get<Build>(`/v1/builds/${buildId}`)
        const log = await (await fetch(`${service.url}/v1/builds/${buildId}/logs`)).text()
        return [road, baseBuildId, /^\+iso \| /m.test(log)]
      }),
    )
    const first = items[0]?.buildId
    assert.deepEqual(made, [
      ['build', undefined, true],
      ['stamp', first, false],
      ['compose', first, false],
    ])
  })
})
