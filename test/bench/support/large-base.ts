import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { baseKey, recordBase } from '@edgesmith/bases/base-store'
import { publishEngineProfile } from '@edgesmith/bases/engine-profile'
import { recipeKeys, type Recipe } from '@edgesmith/bases/keys'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { objectManifest } from '@edgesmith/manifest/manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { Redis } from 'ioredis'
import { v7 as uuidv7 } from 'uuid'
import { repositoryDirectory } from '../../../deploy/setup/paths.ts'
import { startServiceProcess } from '../../../deploy/setup/service-process.ts'
import { path as userDataPath, type Workshop } from '../../support/image-workshop.ts'
import { operatorKey } from '../../support/as-operator.ts'
import { tlsDirectoryOf } from '../../support/service-certificates.ts'

const execute = promisify(execFile)

/** What the benchmarks' bases are made with. */
export const maker = { engine: 'benchmark', userDataReserveBytes: 256 * 1024 }

/** As many images as a CanvOS build pulls. */
const images = [1, 2, 3, 4, 5].map((index) => ({
  reference: `registry.example.com/image-${index}:1`,
  digest: `sha256:${String(index).repeat(64)}`,
}))

/** Starts all services but the builder as processes; answers the address of the gateway. */
export async function startServices(
  resources: AsyncDisposableStack,
  directory: string,
  env: Record<string, string>,
): Promise<string> {
  const repository = join(directory, 'canvos.git')
  await execute(join(repositoryDirectory, 'deploy/fixture/make-repository.sh'), [repository])
  const start = async (service: 'artifact' | 'gateway' | 'validation', own: Record<string, string>) => {
    const options = { service, awaited: service, logFile: join(directory, `${service}.log`) }
    const access = { SERVICE_TLS_DIRECTORY: tlsDirectoryOf(service), BOOTSTRAP_API_KEY: operatorKey }
    return resources.use(await startServiceProcess({ ...options, env: { ...env, ...access, ...own } }))
  }
  const artifact = await start('artifact', {
    ARTIFACT_PORT: '0',
    ARTIFACT_INTERNAL_PORT: '0',
    SIGNING_KEYS: 'benchmark'.repeat(4),
  })
  const validation = await start('validation', {
    VALIDATION_PORT: '0',
    VALIDATION_INTERNAL_PORT: '0',
    CANVOS_REPOSITORY: repository,
    CANVOS_MIRROR_DIRECTORY: join(directory, 'mirror.git'),
  })
  const gateway = await start('gateway', {
    GATEWAY_PORT: '0',
    VALIDATION_URL: validation.internalUrl ?? '',
    ARTIFACT_URL: artifact.internalUrl ?? '',
  })
  return gateway.url
}

/** Tells of the maker, and of the images' registries as a build does that has asked them lately. */
export async function publishMaker(redis: Redis): Promise<void> {
  await publishEngineProfile(redis, { ...maker, insecureRegistries: [], imageDigestTtlSeconds: 600 })
  for (const { reference, digest } of images) await redis.set(`edgesmith:image-digest:${reference}`, digest)
}

/**
 * An installer ISO in the layout of CanvOS's newer tags, with a placeholder of user-data; answers its file.
 * Its root file system has that many bytes.
 */
export async function makeBase(workshop: Workshop, size: number): Promise<string> {
  await execute('dd', [
    ...['if=/dev/urandom', `of=${workshop.file('/rootfs.squashfs')}`, 'bs=1M', 'iflag=count_bytes'],
    `count=${size}`,
  ])
  await workshop.make('gpt', 'base', placeholderUserData(maker.userDataReserveBytes))
  return workshop.image('base')
}

/** Keeps an ISO as the base that a builder made for a build. */
export async function keepBase(
  store: ObjectStore,
  iso: string,
  { recipe, buildId }: { recipe: Recipe; buildId: string },
): Promise<void> {
  const keys = recipeKeys(recipe, maker)
  const id = uuidv7()
  const { size: stored } = await store.put(baseKey.data(id), createReadStream(iso))
  const manifest = objectManifest(baseKey.data(id), stored)
  const placeholder = placeholderUserData(maker.userDataReserveBytes)
  const userData = await findSlot(new ImageReader(store, manifest), userDataPath, placeholder)
  if (userData === undefined) throw new Error('The place of the user-data cannot be told.')
  await recordBase(store, {
    ...{ id, rootKey: keys.root, layersKey: keys.layers, buildId, images, manifest, userData },
    ...{ createdAt: new Date().toISOString(), proof: [], unproved: [] },
  })
}
