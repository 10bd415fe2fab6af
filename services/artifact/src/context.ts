import type { ProjectRef } from '@edgesmith/contract/project'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { prefixedSource } from '@edgesmith/store/prefixed-store'
import { projectPrefix, type ProjectStores } from '@edgesmith/store/project-stores'
import type { RangeSource } from '@edgesmith/store/range-reader'
import type { ArtifactConfig } from './config.ts'
import type { ProvenanceSigner } from './provenance-signer.ts'

/** What the artifact service's routes work with. */
export type ArtifactContext = {
  readonly config: ArtifactConfig
  readonly stores: ProjectStores
  /** Where bytes of images are read: the whole store, or a cache before it. */
  readonly images: RangeSource
  /** Signs provenance; undefined where nothing is configured to. */
  readonly signer: ProvenanceSigner | undefined
  /** Start of every signed URL. Known only once the service listens, where no public URL is configured. */
  readonly publicUrl: () => string
}

/** A project's part of what the artifact service works with: nothing of another project is to be had by it. */
export type ProjectContext = { readonly store: ObjectStore; readonly images: RangeSource }

/** The part of the project that a request acts in. */
export function inProject({ stores, images }: ArtifactContext, project: ProjectRef): ProjectContext {
  return { store: stores.of(project), images: prefixedSource(images, projectPrefix(project)) }
}
