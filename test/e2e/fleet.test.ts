import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import type { Fleet, FleetDownloads } from '@edgesmith/contract/fleet'
import { openFile } from '@edgesmith/iso/file'
import { startServiceProcess, type ServiceProcess } from '../../deploy/setup/service-process.ts'
import { removeWorker } from '../../deploy/setup/workers.ts'
import { fromSetUp } from '../support/environment.ts'
import { path as userDataPath } from '../support/image-workshop.ts'
import { serviceEnvironment } from './environment.ts'

const siteCount = Number(process.env['FLEET_TEST_SITES'] ?? 1000)
const sampleSize = 50
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

  it('gives every site its user-data and its checksum', { timeout: 18 * 60_000 }, async () => {
    const rows = Array.from({ length: siteCount }, (_, index) => `${siteName(index)},"0${index}: #"`)
    const form = new FormData()
    const build = {
      canvos: { tag: 'v4.10.0' },
      arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
    }
    form.append('spec', new Blob([JSON.stringify({ build })]), 'spec.json')
    form.append('template', new Blob([template]), 'template.yaml')
    form.append('sites', new Blob([['site,token', ...rows].join('\n')]), 'sites.csv')
    const response = await fetch(`${service.url}/v1/fleets`, { method: 'POST', body: form })
    assert.equal(response.status, 202, await response.clone().text())
    const { id } = (await response.json()) as Fleet
    const fleet = await until(
      async () => (await (await fetch(`${service.url}/v1/fleets/${id}`)).json()) as Fleet,
      ({ state }) => state !== 'queued' && state !== 'running',
    )
    assert.equal(fleet.state, 'succeeded')
    const sums = await until(
      () => fetch(`${service.url}/v1/fleets/${id}/downloads?format=sha256sum`),
      ({ status }) => status !== 409,
    )
    const listed = new Map(
      (await sums.text()).split('\n').map((line): [string, string] => [line.slice(66), line.slice(0, 64)]),
    )
    const downloads = await fetch(`${service.url}/v1/fleets/${id}/downloads`)
    const { items } = (await downloads.json()) as FleetDownloads
    assert.equal(items.length, siteCount)
    for (const index of sample(sampleSize, siteCount)) {
      const item = items[index]
      assert.ok(item)
      const image = Buffer.from(await (await fetch(item.url)).arrayBuffer())
      assert.equal(listed.get(item.name), createHash('sha256').update(image).digest('hex'))
      const reader = {
        size: image.length,
        read: (offset: number, length: number) => Promise.resolve(image.subarray(offset, offset + length)),
      }
      const name = siteName(index)
      assert.equal(item.site, name)
      assert.equal(
        await text(await openFile(reader, userDataPath)),
        template.replace('{{token}}', `"0${index}: #"`).replace('{{site}}', `"${name}"`),
      )
    }
  })
})
