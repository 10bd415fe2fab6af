import type { KeyPair } from '@edgesmith/provenance/keys'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { RangeSource } from '@edgesmith/store/range-reader'
import type { ArtifactConfig } from './config.ts'

/** What the artifact service's routes work with. */
export type ArtifactContext = {
  readonly config: ArtifactConfig
  readonly store: ObjectStore
  /** Where bytes of images are read: the store, or a cache before it. */
  readonly images: RangeSource
  /** Keys of provenance, newest first. */
  readonly provenanceKeys: readonly KeyPair[]
  /** Start of every signed URL. Known only once the service listens, where no public URL is configured. */
  readonly publicUrl: () => string
}
