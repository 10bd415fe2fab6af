import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { findArtifact } from '@edgesmith/artifacts/artifacts'
import { baseKey, recordBase } from '@edgesmith/bases/base-store'
import { publishEngineProfile } from '@edgesmith/bases/engine-profile'
import { recipeKeys, type KeyedInput } from '@edgesmith/bases/keys'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import { listInputs } from '@edgesmith/contract/build-spec'
import { openFile } from '@edgesmith/iso/file'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { objectManifest } from '@edgesmith/manifest/manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { findUpload } from '@edgesmith/uploads/uploads'
import type { Redis } from 'ioredis'
import { request } from 'undici'
import { v7 as uuidv7 } from 'uuid'
import { startMinio } from '../../deploy/minio/server.ts'
import { repositoryDirectory } from '../../deploy/setup/paths.ts'
import { startServiceProcess } from '../../deploy/setup/service-process.ts'
import { path as userDataPath, Workshop } from '../support/image-workshop.ts'

const execute = promisify(execFile)
const MiB = 1024 ** 2
/** Size of the root file system of the base, in bytes; `STAMP_BENCH_BYTES` sets less for a quick look. */
const size = Number(process.env['STAMP_BENCH_BYTES'] ?? 2100 * MiB)
const submissions = 50
const warmUp = 5
const remasters = 3

const maker = { engine: 'benchmark', userDataReserveBytes: 256 * 1024 }
/** As many images as a CanvOS build pulls; a build has asked their registries lately. */
const images = [1, 2, 3, 4, 5].map((index) => ({
  reference: `registry.example.com/image-${index}:1`,
  digest: `sha256:${String(index).repeat(64)}`,
}))

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
  const store = await openMinioStore({ ...minio, bucket: 'edgesmith' })
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
  const iso = await makeBase(workshop)
  await publishEngineProfile(redis, { ...maker, insecureRegistries: [], imageDigestTtlSeconds: 600 })
  for (const { reference, digest } of images) await redis.set(`edgesmith:image-digest:${reference}`, digest)
  await keepBase(store, iso, await submit(url, 'first'))

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

/** Starts all services but the builder as processes; answers the address of the gateway. */
async function startServices(
  resources: AsyncDisposableStack,
  directory: string,
  env: Record<string, string>,
): Promise<string> {
  const repository = join(directory, 'canvos.git')
  await execute(join(repositoryDirectory, 'deploy/fixture/make-repository.sh'), [repository])
  const start = async (service: 'artifact' | 'gateway' | 'validation', own: Record<string, string>) => {
    const options = { service, awaited: service, logFile: join(directory, `${service}.log`) }
    return resources.use(await startServiceProcess({ ...options, env: { ...env, ...own } })).url
  }
  const artifact = await start('artifact', { ARTIFACT_PORT: '0', SIGNING_KEYS: 'benchmark'.repeat(4) })
  const validation = await start('validation', {
    VALIDATION_PORT: '0',
    CANVOS_REPOSITORY: repository,
    CANVOS_MIRROR_DIRECTORY: join(directory, 'mirror.git'),
  })
  return await start('gateway', { GATEWAY_PORT: '0', VALIDATION_URL: validation, ARTIFACT_URL: artifact })
}

/** An installer ISO in the layout of CanvOS's newer tags, with a placeholder of user-data; answers its file. */
async function makeBase(workshop: Workshop): Promise<string> {
  await execute('dd', [
    ...['if=/dev/urandom', `of=${workshop.file('/rootfs.squashfs')}`, 'bs=1M', 'iflag=count_bytes'],
    `count=${size}`,
  ])
  await workshop.make('gpt', 'base', placeholderUserData(maker.userDataReserveBytes))
  return join(workshop.directory, 'store', 'base')
}

/** Keeps the base as a builder does that made it for a build. */
async function keepBase(store: ObjectStore, iso: string, build: Build): Promise<void> {
  if (build.state !== 'queued') throw new Error(`The first build is ${build.state}; it is to be queued.`)
  const inputs: KeyedInput[] = []
  for (const { role, pointer, file } of listInputs(build.spec.inputs)) {
    const entry = await findUpload(store, file.upload)
    if (entry === undefined) throw new Error(`The upload of ${pointer} is not there.`)
    const { kind, size: bytes } = entry.upload
    inputs.push({ role, pointer, contentId: file.upload, kind, size: bytes, objectKey: entry.objectKey })
  }
  const keys = recipeKeys({ ...build, inputs }, maker)
  const id = uuidv7()
  const { size: stored } = await store.put(baseKey.data(id), createReadStream(iso))
  const manifest = objectManifest(baseKey.data(id), stored)
  const placeholder = placeholderUserData(maker.userDataReserveBytes)
  const userData = await findSlot(new ImageReader(store, manifest), userDataPath, placeholder)
  if (userData === undefined) throw new Error('The place of the user-data cannot be told.')
  await recordBase(store, {
    ...{ id, rootKey: keys.root, layersKey: keys.layers, buildId: build.id, images, manifest, userData },
    ...{ createdAt: new Date().toISOString(), proof: [], unproved: [] },
  })
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
