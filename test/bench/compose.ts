import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import type { Base } from '@edgesmith/bases/base'
import { findRelatedBases } from '@edgesmith/bases/base-store'
import { recipeKeys, type Recipe } from '@edgesmith/bases/keys'
import { composeBase } from '@edgesmith/builder-service/compose-base'
import { findRecipe } from '@edgesmith/builder-service/recipe'
import { createBuild } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import type { BuildInputs, InputFile } from '@edgesmith/contract/build-spec'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { commitUpload, stageUpload } from '@edgesmith/uploads/uploads'
import { startMinio } from '../../deploy/minio/server.ts'
import { ensureDebianPackages, neededBy } from '../../deploy/setup/debian-packages.ts'
import { Workshop } from '../support/image-workshop.ts'
import { ownProject } from '../support/projects.ts'
import { keepBase, makeBase, maker } from './support/large-base.ts'

const execute = promisify(execFile)
const MiB = 1024 ** 2
/** Sizes of the base's root file system and of the bundle, in bytes; `COMPOSE_BENCH_SCALE` makes both smaller. */
const scale = Number(process.env['COMPOSE_BENCH_SCALE'] ?? 1)
const rootSize = Math.round(2100 * MiB * scale)
const bundleSize = Math.round(1024 * MiB * scale)
const rounds = 5

type Request = { readonly build: Build; readonly recipe: Recipe }

/**
 * A new bundle of 1 GiB is laid into a base of more than 2 GiB: `composeSeconds` is the median time of what a
 * builder does for that, on objects in MinIO, until the new base is found: the bundle is read and its SHA-256
 * compared, the image is laid out, checked and proved. `copySeconds` is the median time in which `cp` copies a
 * file of as many bytes as the new image on the disk that MinIO is on, every byte of it (`--reflink=never
 * --sparse=never`); the copy need not have reached the disk, and the file is read before, so that cp finds in
 * memory what fits there. Both in turns, after a `sync`. `ratioToCopy` is of the two, `bytesStored` what an image
 * adds to the store.
 */
export async function run(): Promise<Record<string, number>> {
  await ensureDebianPackages([...neededBy.standalone, ...neededBy.testFiles])
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-bench-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const minio = resources.use(await startMinio({ dataDir: join(directory, 'minio') }))
  const store = await openMinioStore({ ...minio, bucket: 'edgesmith' })
  const userData = await upload(store, Readable.from([Buffer.from('#cloud-config\n')]), 'user-data')
  const from = await storeBase(store, userData)
  const request = await requestBuild(store, {
    userData,
    contentBundles: [await uploadBundle(store, directory)],
  })

  const { manifest } = await compose(store, request, from)
  const original = join(directory, 'original')
  const copy = join(directory, 'copy')
  await writeRandom(original, manifest.size)
  const seconds = { compose: [] as number[], copy: [] as number[] }
  let id = ''
  for (let round = 0; round < rounds; round += 1) {
    await execute('sync')
    seconds.compose.push(
      await secondsOf(async () => {
        ;({ id } = await compose(store, request, from))
      }),
    )
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
    bytesStored: await sizeBelow(store, `bases/${id}/`),
    baseMiB: round(from.manifest.size / MiB),
    imageMiB: round(manifest.size / MiB),
  }
}

/** Keeps an ISO in the layout of CanvOS's newer tags as the base of a build without a bundle. */
async function storeBase(store: ObjectStore, userData: InputFile): Promise<Base> {
  await using workshop = await Workshop.open()
  const { build, recipe } = await requestBuild(store, { userData })
  await keepBase(store, await makeBase(workshop, rootSize), { recipe, buildId: build.id })
  for await (const base of findRelatedBases(store, recipeKeys(recipe, maker).root)) return base
  throw new Error('The base is not found.')
}

async function uploadBundle(store: ObjectStore, directory: string): Promise<InputFile> {
  const content = join(directory, 'bundle')
  await writeRandom(content, bundleSize)
  await execute('zstd', ['-1', '--quiet', '--rm', content])
  const bundle = await upload(
    store,
    createReadStream(`${content}.zst`, { highWaterMark: MiB }),
    'core.tar.zst',
  )
  await rm(`${content}.zst`)
  return bundle
}

async function upload(store: ObjectStore, bytes: Readable, fileName: string): Promise<InputFile> {
  const staged = await stageUpload(store, bytes, { limitBytes: 2 * bundleSize })
  await commitUpload(store, staged, { fileName })
  return { upload: staged.contentId, fileName }
}

async function requestBuild(store: ObjectStore, inputs: BuildInputs): Promise<Request> {
  const build = createBuild(
    {
      ...ownProject,
      ...{ target: 'iso', canvos: { tag: 'v4.10.0', commit: '0'.repeat(40) }, labels: {}, diagnostics: [] },
      ...{ spec: { inputs }, arguments: { ARCH: 'amd64' } },
    },
    new Date(),
  )
  const recipe = await findRecipe(store, build)
  if (recipe === undefined) throw new Error('An upload is missing.')
  return { build, recipe }
}

function compose(store: ObjectStore, { build, recipe }: Request, from: Base): Promise<Base> {
  const log = { say: (line: string) => Promise.reject(new Error(line)) }
  return composeBase(
    { store, maker, config: { workDirectory: undefined } },
    { build, log, signal: new AbortController().signal },
    { recipe, keys: recipeKeys(recipe, maker) },
    from,
  )
}

async function sizeBelow(store: ObjectStore, prefix: string): Promise<number> {
  let bytes = 0
  for await (const { size } of store.list(prefix)) bytes += size
  return bytes
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
