import type { ObjectStore } from '@edgesmith/store/object-store'
import type { RangeSource } from '@edgesmith/store/range-reader'
import type { ArtifactConfig } from './config.ts'
import type { ProvenanceSigner } from './provenance-signer.ts'

/** What the artifact service's routes work with. */
export type ArtifactContext = {
  readonly config: ArtifactConfig
  readonly store: ObjectStore
  /** Where bytes of images are read: the store, or a cache before it. */
  readonly images: RangeSource
  /** Signs provenance; undefined where nothing is configured to. */
  readonly signer: ProvenanceSigner | undefined
  /** Start of every signed URL. Known only once the service listens, where no public URL is configured. */
  readonly publicUrl: () => string
}
