import { ownObject } from '@edgesmith/artifacts/materialize'
import type { StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { presignGet } from '@edgesmith/store/presigned-url'
import type { ArtifactContext } from './context.ts'

/** How long a download can be begun with the URL that a client is redirected to, in seconds. */
const seconds = 60

/**
 * MinIO's own URL of an artifact that is one whole object. Undefined where redirects are not set up, and
 * for an image that is made of several extents.
 */
export async function redirectUrl(
  { config, store }: Pick<ArtifactContext, 'config' | 'store'>,
  { artifact, content }: StoredArtifact,
  contentDisposition: string,
): Promise<string | undefined> {
  const { redirectEndpoint: endpoint, objectStore } = config
  if (endpoint === undefined || objectStore.kind !== 'minio' || content.kind !== 'manifest') return undefined
  const key = ownObject(content.manifest)
  if (key === undefined || (await store.stat(key))?.size !== artifact.size) return undefined
  const { mediaType: contentType } = artifact
  return presignGet(objectStore, { endpoint, key, seconds, contentType, contentDisposition })
}
