import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { composeImage } from '@edgesmith/compose/compose-image'
import { objectManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { startMinio } from '../../deploy/minio/server.ts'
import { ensureDebianPackages, neededBy } from '../../deploy/setup/debian-packages.ts'
import { Workshop } from '../support/image-workshop.ts'

const execute = promisify(execFile)
const MiB = 1024 ** 2
/** Sizes of the base's root file system and of the bundle, in bytes; `COMPOSE_BENCH_SCALE` makes both smaller. */
const scale = Number(process.env['COMPOSE_BENCH_SCALE'] ?? 1)
const rootSize = Math.round(2100 * MiB * scale)
const bundleSize = Math.round(1024 * MiB * scale)
const rounds = 5

/**
 * A new bundle of 1 GiB, split in two parts as CanvOS splits them, is laid into a base of more than 2 GiB:
 * `composeSeconds` is the median time of `composeImage` on objects in MinIO, until the new image can be
 * downloaded from them. `copySeconds` is the median time in which `cp` copies a file of as many bytes as the new
 * image on the disk that MinIO is on, every byte of it (`--reflink=never --sparse=never`); the copy need not have
 * reached the disk, and the file is read before, so that cp finds in memory what fits there. Both in turns, after
 * a `sync`. `ratioToCopy` is of the two, `bytesStored` what an image adds to the store.
 */
export async function run(): Promise<Record<string, number>> {
  await ensureDebianPackages(neededBy.standalone)
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-bench-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const minio = resources.use(await startMinio({ dataDir: join(directory, 'minio') }))
  const store = await openMinioStore({ ...minio, bucket: 'edgesmith' })
  const base = await storeBase(store)
  const bundle = join(directory, 'bundle')
  await writeRandom(bundle, bundleSize)
  await store.put('uploads/bundle', createReadStream(bundle, { highWaterMark: MiB }))
  await rm(bundle)

  const { size } = await compose(store, base, 'warm-up')
  const original = join(directory, 'original')
  const copy = join(directory, 'copy')
  await writeRandom(original, size)
  const seconds = { compose: [] as number[], copy: [] as number[] }
  for (let round = 0; round < rounds; round += 1) {
    await execute('sync')
    seconds.compose.push(await secondsOf(() => compose(store, base, `composed-${round}`)))
    await execute('sync')
    await execute('dd', [`if=${original}`, 'of=/dev/null', 'bs=1M'])
    seconds.copy.push(
      await secondsOf(() => execute('cp', ['--reflink=never', '--sparse=never', original, copy])),
    )
    await rm(copy)
    console.error(`compose: ${last(seconds.compose)} s, cp: ${last(seconds.copy)} s`)
  }
  const [composeSeconds, copySeconds] = [median(seconds.compose), median(seconds.copy)]
  return {
    ratioToCopy: round(composeSeconds / copySeconds),
    composeSeconds: round(composeSeconds),
    copySeconds: round(copySeconds),
    bytesStored: (await store.stat('composed-0'))?.size ?? Number.NaN,
    baseMiB: round(base.size / MiB),
    imageMiB: round(size / MiB),
  }
}

/** Makes an ISO in the layout of CanvOS's newer tags and puts it into the store. */
async function storeBase(store: ObjectStore): Promise<Manifest> {
  await using workshop = await Workshop.open()
  await writeRandom(workshop.file('/rootfs.squashfs'), rootSize)
  await workshop.make('gpt', 'base', Buffer.from('#cloud-config\n'))
  const file = join(workshop.directory, 'store', 'base')
  await store.put('base', createReadStream(file, { highWaterMark: MiB }))
  return objectManifest('base', (await stat(file)).size)
}

function compose(store: ObjectStore, base: Manifest, layoutKey: string): Promise<Manifest> {
  const parts = [0, Math.ceil(bundleSize / 2)].map((offset, index, offsets) => ({
    path: `/opt/spectrocloud/content/new.zst_part0${index}`,
    source: {
      extents: [{ object: 'uploads/bundle', offset, length: (offsets[index + 1] ?? bundleSize) - offset }],
    },
  }))
  const request = { base, remove: ['/opt/spectrocloud/content/core.zst_part00'], add: parts, layoutKey }
  return composeImage({ store, signal: new AbortController().signal }, request)
}

async function writeRandom(file: string, bytes: number): Promise<void> {
  await execute('dd', [
    ...['if=/dev/urandom', `of=${file}`, 'bs=1M', 'iflag=count_bytes,fullblock'],
    `count=${bytes}`,
  ])
}

async function secondsOf(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await action()
  return round((performance.now() - startedAt) / 1000)
}

function last(values: readonly number[]): string {
  return String(values.at(-1))
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
