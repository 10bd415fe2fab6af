import { openDirectoryStore } from './directory-store.ts'
import { openMinioStore, type MinioSettings } from './minio-store.ts'
import type { ObjectStore } from './object-store.ts'

/** An object store to open. */
export type ObjectStoreConfig =
  | { readonly kind: 'directory'; readonly directory: string }
  | ({ readonly kind: 'minio' } & Readonly<MinioSettings>)

/** Opens the object store that a configuration names; `signal` ends the waiting for one that is away. */
export function openStore(config: ObjectStoreConfig, signal?: AbortSignal): Promise<ObjectStore> {
  return config.kind === 'directory' ? openDirectoryStore(config.directory) : openMinioStore(config, signal)
}
