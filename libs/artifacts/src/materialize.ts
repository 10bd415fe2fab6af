import type { ArtifactId } from '@edgesmith/contract/identifiers'
import { objectManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { findArtifact, imageKey, recordKey, type StoredArtifact } from './artifacts.ts'
import { underLease } from './lease.ts'

/**
 * Makes one object of an artifact's image, and lets the artifact refer to it instead of to what the image
 * is made of. Its bytes and its ETag stay; MinIO copies the large ranges by itself. One that is an object of
 * its own already, or a checksum, is left as it is. Done under a lease. Answers undefined when there is no such artifact.
 * @throws NoSuchObject when something that the image is made of is not there any more
 */
export function materializeArtifact(store: ObjectStore, id: ArtifactId): Promise<StoredArtifact | undefined> {
  return underLease(store, id, (signal) => materialize(store, id, signal))
}

async function materialize(
  store: ObjectStore,
  id: ArtifactId,
  signal: AbortSignal,
): Promise<StoredArtifact | undefined> {
  const stored = await findArtifact(store, id)
  if (stored === undefined || stored.content.kind === 'checksum') return stored
  const { artifact, content } = stored
  const { manifest } = content
  const own = ownObject(manifest)
  if (own?.startsWith(`artifacts/${id}/`) === true && (await store.stat(own))?.size === manifest.size) {
    return stored
  }
  const key = imageKey(id)
  const { size } = await store.join(key, manifest.extents, { contentType: artifact.mediaType, signal })
  if (size !== manifest.size) throw new Error(`${key} has ${size} bytes and not ${manifest.size}.`)
  const latest = await findArtifact(store, id)
  if (latest === undefined) {
    // It was removed meanwhile.
    await store.remove(key)
    return undefined
  }
  const materialized: StoredArtifact = {
    artifact: latest.artifact,
    content: { kind: 'manifest', manifest: objectManifest(key, size) },
  }
  await writeJson(store, recordKey(id), materialized)
  return materialized
}

/** Key of the object that an image is from its first byte on and alone; it may have more bytes. */
export function ownObject({ extents }: Manifest): string | undefined {
  const [only, ...others] = extents
  return only === undefined || 'zeros' in only || only.offset > 0 || others.length > 0
    ? undefined
    : only.object
}
