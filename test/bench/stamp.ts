import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { findArtifact } from '@edgesmith/artifacts/artifacts'
import { findRecipe } from '@edgesmith/builder-service/recipe'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import { openFile } from '@edgesmith/iso/file'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { Redis } from 'ioredis'
import { request } from 'undici'
import { fetch } from '../support/as-operator.ts'
import { startMinio } from '../../deploy/minio/server.ts'
import { path as userDataPath, Workshop } from '../support/image-workshop.ts'
import { ownStore } from '../support/projects.ts'
import { keepBase, makeBase, publishMaker, startServices } from './support/large-base.ts'

const execute = promisify(execFile)
const MiB = 1024 ** 2
/** Size of the root file system of the base, in bytes; `STAMP_BENCH_BYTES` sets less for a quick look. */
const size = Number(process.env['STAMP_BENCH_BYTES'] ?? 2100 * MiB)
const submissions = 50
const warmUp = 5
const remasters = 3

/**
 * New user-data for a base: `p50FirstByteMs` is the median time from `POST /v1/builds` with the user-data in
 * it, over the request of a download URL, to the first byte of the ISO; `speedupOverRemaster` is how many
 * times longer xorriso takes to put user-data into the same ISO on the same disk. `bytesStoredPerVariant` is
 * what the object store gains by a variant, and `redisBytesPerVariant` Redis.
 */
export async function run(): Promise<Record<string, number>> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-bench-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const minio = resources.use(await startMinio({ dataDir: join(directory, 'minio') }))
  const store = ownStore(await openMinioStore({ ...minio, bucket: 'edgesmith' }))
  const { url: redisUrl } = resources.use(
    await startRedisServer({
      dataDirectory: join(directory, 'redis'),
      onUnexpectedExit: (error) => {
        throw error
      },
    }),
  )
  const onError = (error: Error) => {
    throw error
  }
  const redis = resources.adopt(
    openRedis(redisUrl, { patience: 'brief', name: 'bench', onError }),
    closeRedis,
  )
  const url = await startServices(resources, directory, {
    REDIS_URL: redisUrl,
    OBJECT_STORE: 'minio',
    MINIO_ENDPOINT: minio.endpoint,
    MINIO_ACCESS_KEY: minio.accessKey,
    MINIO_SECRET_KEY: minio.secretKey,
  })
  const workshop = resources.use(await Workshop.open())
  const iso = await makeBase(workshop, size)
  await publishMaker(redis)
  await keepBaseOf(store, iso, await submit(url, 'first'))

  for (let count = 0; count < warmUp; count += 1) await firstByte(url, `warm-up-${count}`)
  const before = { store: await bytesOf(store), redis: await memoryOf(redis) }
  const times: number[] = []
  let last: Build | undefined
  for (let count = 0; count < submissions; count += 1) {
    const { build, ms } = await firstByte(url, `site-${count}`)
    times.push(ms)
    last = build
  }
  const after = { store: await bytesOf(store), redis: await memoryOf(redis) }
  await assertUserData(store, last, `site-${submissions - 1}`)

  const seconds: number[] = []
  for (let count = 0; count < remasters; count += 1) seconds.push(await remaster(workshop, iso))
  const p50 = percentile(times, 0.5)
  return {
    p50FirstByteMs: round(p50),
    p95FirstByteMs: round(percentile(times, 0.95)),
    speedupOverRemaster: round((percentile(seconds, 0.5) * 1000) / p50),
    remasterSeconds: round(percentile(seconds, 0.5)),
    bytesStoredPerVariant: Math.round((after.store - before.store) / submissions),
    redisBytesPerVariant: Math.round((after.redis - before.redis) / submissions),
    baseMiB: round((await stat(iso)).size / MiB),
  }
}

/** Keeps the base as a builder does that made it for a build. */
async function keepBaseOf(store: ObjectStore, iso: string, build: Build): Promise<void> {
  if (build.state !== 'queued') throw new Error(`The first build is ${build.state}; it is to be queued.`)
  const recipe = await findRecipe(store, build)
  if (recipe === undefined) throw new Error('An input of the first build is not there.')
  await keepBase(store, iso, { recipe, buildId: build.id })
}

function userDataOf(site: string): string {
  return `#cloud-config\nstylus:\n  site:\n    name: ${site}\n    edgeHostToken: token-of-${site}\n`
}

/** Sends the user-data of a site with its build. */
async function submit(url: string, site: string): Promise<Build> {
  const form = new FormData()
  const spec = {
    canvos: { tag: 'v4.10.0' },
    arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
  }
  form.append('spec', new Blob([JSON.stringify(spec)], { type: 'application/json' }), 'spec.json')
  form.append('userData', new Blob([userDataOf(site)]), 'user-data')
  const response = await fetch(`${url}/v1/builds`, { method: 'POST', body: form })
  if (!response.ok) throw new Error(`The gateway answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Build
}

/** From the submission to the first byte of the ISO. */
async function firstByte(url: string, site: string): Promise<{ build: Build; ms: number }> {
  const startedAt = performance.now()
  const build = await submit(url, site)
  const [iso] = build.artifacts
  if (build.state !== 'succeeded' || build.road !== 'stamp' || iso === undefined) {
    throw new Error(`The build is ${build.state} (${build.road ?? 'no road'}), and is to be stamped.`)
  }
  const response = await fetch(`${url}/v1/artifacts/${iso.id}/download-url`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  const download = (await response.json()) as DownloadUrl
  const { statusCode, body } = await request(download.url)
  for await (const chunk of body as AsyncIterable<Buffer>) if (chunk.length > 0) break
  const ms = performance.now() - startedAt
  if (statusCode !== 200) throw new Error(`The download answered ${statusCode}.`)
  return { build, ms }
}

async function assertUserData(store: ObjectStore, build: Build | undefined, site: string): Promise<void> {
  const stored = await findArtifact(store, build?.artifacts[0]?.id ?? '')
  if (stored?.content.kind !== 'manifest') throw new Error('There is no image.')
  const found = await text(await openFile(new ImageReader(store, stored.content.manifest), userDataPath))
  if (found !== userDataOf(site)) throw new Error(`The image has other user-data: ${found}`)
}

/** Puts user-data into the ISO with xorriso; answers how long that takes, in seconds. */
async function remaster(workshop: Workshop, iso: string): Promise<number> {
  const output = join(workshop.directory, 'remastered.iso')
  await workshop.write('../user-data', Buffer.from(userDataOf('remastered')))
  const startedAt = performance.now()
  await execute('xorriso', [
    ...['-indev', iso, '-outdev', output, '-boot_image', 'any', 'replay'],
    ...['-map', join(workshop.directory, 'user-data'), userDataPath, '-commit'],
  ])
  const seconds = (performance.now() - startedAt) / 1000
  await rm(output)
  return seconds
}

async function bytesOf(store: ObjectStore): Promise<number> {
  let bytes = 0
  for await (const entry of store.list('')) bytes += entry.size
  return bytes
}

async function memoryOf(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1] ?? Number.NaN)
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
