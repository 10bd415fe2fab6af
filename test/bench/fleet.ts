import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findArtifact } from '@edgesmith/artifacts/artifacts'
import { recipeOfSite } from '@edgesmith/builder-service/fleet-stamp'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import type { Fleet, FleetDownloads } from '@edgesmith/contract/fleet'
import { readFleet } from '@edgesmith/fleets/fleet-record'
import { openFile } from '@edgesmith/iso/file'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { fetch } from '../support/as-operator.ts'
import { startMinio } from '../../deploy/minio/server.ts'
import { path as userDataPath, Workshop } from '../support/image-workshop.ts'
import { ownStore } from '../support/projects.ts'
import { keepBase, makeBase, publishMaker, startServices } from './support/large-base.ts'

const MiB = 1024 ** 2
/** Size of the root file system of the base, in bytes; `FLEET_BENCH_BYTES` sets less for a quick look. */
const size = Number(process.env['FLEET_BENCH_BYTES'] ?? 2100 * MiB)
const siteCount = 1000
const pollMs = 50

const template = `#cloud-config
# Site {{site}}
stylus:
  site:
    paletteEndpoint: api.spectrocloud.com
    edgeHostToken: {{token}}
    projectName: stores
    name: {{site}}
    tags: { region: {{region}} }
    network:
      interfaces:
        enp0s3: { type: static, ipAddress: {{address}}/16, gateway: 10.0.250.1, nameserver: 10.10.128.8 }
install:
  poweroff: true
users:
  - name: kairos
    passwd: {{password}}
stages:
  initramfs:
    - users: { kairos: { groups: [sudo], passwd: {{password}} } }
    - files:
        - path: /etc/edge/site.conf
          permissions: 0644
          content: |
${'            # A setting that is as long as such lines are\n            site = {{site}}\n'.repeat(10)}`

/**
 * A fleet of 1,000 sites over one base: `secondsToReady` from `POST /v1/fleets` with a CSV table to the
 * signed URLs of all ISOs; `bytesStored` is what the object store gains by it.
 */
export async function run(): Promise<Record<string, number>> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-bench-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const minio = resources.use(await startMinio({ dataDir: join(directory, 'minio') }))
  const store = ownStore(await openMinioStore({ ...minio, bucket: 'edgesmith' }))
  const raise = (error: Error) => {
    throw error
  }
  const server = resources.use(
    await startRedisServer({ dataDirectory: join(directory, 'redis'), onUnexpectedExit: raise }),
  )
  const redis = resources.adopt(
    openRedis(server.url, { patience: 'brief', name: 'bench', onError: raise }),
    closeRedis,
  )
  const env = {
    REDIS_URL: server.url,
    OBJECT_STORE: 'minio',
    MINIO_ENDPOINT: minio.endpoint,
    MINIO_ACCESS_KEY: minio.accessKey,
    MINIO_SECRET_KEY: minio.secretKey,
  }
  const url = await startServices(resources, directory, env)
  await publishMaker(redis)
  const iso = await keepBaseOfFleets(store, url)
  startFleetProcess(resources, env)
  await untilEnded(url, (await submit(url, 1)).id)

  const before = await bytesOf(store)
  const startedAt = performance.now()
  const { id } = await submit(url, siteCount)
  const acceptedAt = performance.now()
  const fleet = await untilEnded(url, id)
  const response = await fetch(`${url}/v1/fleets/${id}/downloads`)
  const { items } = (await response.json()) as FleetDownloads
  const seconds = (performance.now() - startedAt) / 1000
  if (items.length !== siteCount || fleet.state !== 'succeeded') {
    throw new Error(`The fleet is ${fleet.state}, and ${items.length} ISOs are ready.`)
  }
  for (const item of [items[0], items[499], items.at(-1)]) await assertUserData(store, item)
  const after = await settledBytes(store, id)
  return {
    secondsToReady: round(seconds),
    secondsToAccept: round((acceptedAt - startedAt) / 1000),
    bytesStored: after - before,
    sites: items.length,
    baseMiB: round(iso / MiB),
  }
}

/** Keeps a large base for the fleets that are made here; answers its size in bytes. */
async function keepBaseOfFleets(store: ObjectStore, url: string): Promise<number> {
  await using workshop = await Workshop.open()
  const iso = await makeBase(workshop, size)
  const { id } = await submit(url, 1)
  const record = await readFleet(store, id)
  const [site] = record?.sites ?? []
  if (record === undefined || site === undefined) throw new Error('The fleet is not in the store.')
  const recipe = await recipeOfSite(store, record, site)
  if (recipe === undefined) throw new Error('An input of the fleet is gone.')
  await keepBase(store, iso, { recipe, buildId: site.buildId })
  return (await stat(iso)).size
}

function startFleetProcess(resources: AsyncDisposableStack, env: Record<string, string>): void {
  const main = join(import.meta.dirname, 'support/fleet-process.ts')
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', process.execPath, main], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const ended = once(child, 'close')
  resources.defer(async () => {
    child.kill('SIGTERM')
    await ended
  })
}

async function submit(url: string, sites: number): Promise<Fleet> {
  const rows = Array.from(
    { length: sites },
    (_, index) =>
      `${siteName(index)},token-${index},10.0.${index >> 7}.${(index & 127) + 10},region: ${index},"pass ""${index}"" # word"`,
  )
  const spec = {
    build: {
      canvos: { tag: 'v4.10.0' },
      arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
    },
  }
  const form = new FormData()
  form.append('spec', new Blob([JSON.stringify(spec)]), 'spec.json')
  form.append('template', new Blob([template]), 'template.yaml')
  form.append('sites', new Blob([['site,token,address,region,password', ...rows].join('\r\n')]), 'sites.csv')
  const response = await fetch(`${url}/v1/fleets`, { method: 'POST', body: form })
  if (!response.ok) throw new Error(`The gateway answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Fleet
}

function siteName(index: number): string {
  return `store-${String(index).padStart(4, '0')}`
}

async function untilEnded(url: string, id: string): Promise<Fleet> {
  for (;;) {
    const fleet = (await (await fetch(`${url}/v1/fleets/${id}`)).json()) as Fleet
    if (fleet.state !== 'queued' && fleet.state !== 'running') return fleet
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

async function assertUserData(
  store: ObjectStore,
  item: FleetDownloads['items'][number] | undefined,
): Promise<void> {
  const stored = await findArtifact(store, item?.artifactId ?? '')
  if (item === undefined || stored?.content.kind !== 'manifest') throw new Error('An ISO is not there.')
  const userData = await text(await openFile(new ImageReader(store, stored.content.manifest), userDataPath))
  if (userData.includes(`name: "${item.site}"\n`)) return
  throw new Error(`The ISO of ${item.site} has other user-data.`)
}

/** What is stored once the archive of the fleet is there too. */
async function settledBytes(store: ObjectStore, fleetId: string): Promise<number> {
  while ((await store.stat(`fleets/${fleetId}/builds.ndjson`)) === undefined) {
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  return bytesOf(store)
}

async function bytesOf(store: ObjectStore): Promise<number> {
  let sum = 0
  for await (const { size: bytes } of store.list('')) sum += bytes
  return sum
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
