import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { startMinio } from '../../../deploy/minio/server.ts'

export type OpenStores = AsyncDisposable & {
  /** Two handles on the same objects, as two processes have them. */
  readonly stores: readonly [ObjectStore, ObjectStore]
}

/** The stores that the service can have, each empty; dispose of the answer to remove it. */
export const openStores: Readonly<Record<'directory' | 'MinIO', () => Promise<OpenStores>>> = {
  directory: async () => {
    const root = await mkdtemp(join(tmpdir(), 'edgesmith-artifacts-'))
    return {
      stores: [await openDirectoryStore(root), await openDirectoryStore(root)],
      [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
    }
  },
  MinIO: async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'edgesmith-artifacts-'))
    const server = await startMinio({ dataDir })
    const config = { ...server, bucket: 'edgesmith' }
    return {
      stores: [await openMinioStore(config), await openMinioStore(config)],
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]()
        await rm(dataDir, { recursive: true })
      },
    }
  },
}
