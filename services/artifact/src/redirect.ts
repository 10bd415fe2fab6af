import { ownObject } from '@edgesmith/artifacts/materialize'
import type { StoredArtifact } from '@edgesmith/artifacts/artifacts'
import type { ProjectRef } from '@edgesmith/contract/project'
import { presignGet } from '@edgesmith/store/presigned-url'
import { projectPrefix } from '@edgesmith/store/project-stores'
import { inProject, type ArtifactContext } from './context.ts'

/** How long a download can be begun with the URL that a client is redirected to, in seconds. */
const seconds = 60

/**
 * MinIO's own URL of an artifact that is one whole object. Undefined where redirects are not set up, and
 * for an image that is made of several extents.
 */
export async function redirectUrl(
  context: ArtifactContext,
  project: ProjectRef,
  { artifact, content }: StoredArtifact,
  contentDisposition: string,
): Promise<string | undefined> {
  const { redirectEndpoint: endpoint, objectStore } = context.config
  if (endpoint === undefined || objectStore.kind !== 'minio' || content.kind !== 'manifest') return undefined
  const own = ownObject(content.manifest)
  if (own === undefined) return undefined
  if ((await inProject(context, project).store.stat(own))?.size !== artifact.size) return undefined
  const key = `${projectPrefix(project)}${own}`
  const { mediaType: contentType } = artifact
  return presignGet(objectStore, { endpoint, key, seconds, contentType, contentDisposition })
}
