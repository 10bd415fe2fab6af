import type { Readable } from 'node:stream'
import { Artifact } from '@edgesmith/contract/artifact'
import type { ArtifactId, BuildId, FileName } from '@edgesmith/contract/identifiers'
import { DigestStream, putThrough } from '@edgesmith/store/digest-stream'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { ByteRange, ObjectStore } from '@edgesmith/store/object-store'
import { v7 as uuidv7, validate as isUuid } from 'uuid'
import { mediaTypeOf } from './media-type.ts'

export type NewArtifact = {
  buildId: BuildId
  name: FileName
  /** The bytes. Not destroyed on failure: what is unread is left to its owner. */
  source: Readable
  /** By default told by the name. */
  mediaType?: string
  signal?: AbortSignal
}

/**
 * Streams a file into the store while its SHA-256 is computed, and then records it: an artifact can
 * be found once all of it is stored. When this fails nothing of it is left.
 */
export async function publishArtifact(store: ObjectStore, artifact: NewArtifact): Promise<Artifact> {
  const { buildId, name, source, mediaType = mediaTypeOf(name), signal } = artifact
  const id = uuidv7()
  const through = new DigestStream()
  await putThrough(store, dataKey(id), { source, through }, { contentType: mediaType, signal })
  const record: Artifact = {
    id,
    buildId,
    name,
    size: through.size,
    sha256: through.digest(),
    mediaType,
    createdAt: new Date().toISOString(),
  }
  try {
    await writeJson(store, recordKey(id), record)
  } catch (error) {
    await store.remove(dataKey(id))
    throw error
  }
  return record
}

/** Looks an artifact up; undefined for an id that names none, whatever it is made of. */
export async function findArtifact(store: ObjectStore, id: ArtifactId): Promise<Artifact | undefined> {
  return isUuid(id) ? readJson(store, recordKey(id), Artifact) : undefined
}

/** Removes an artifact; one that isn't there is no error. */
export async function removeArtifact(store: ObjectStore, id: ArtifactId): Promise<void> {
  if (!isUuid(id)) return
  await store.remove(recordKey(id))
  await store.remove(dataKey(id))
}

/** Opens an artifact, or a range of it, for reading. Throws `NoSuchObject` when it was removed. */
export async function openArtifact(
  store: ObjectStore,
  artifact: Artifact,
  range?: ByteRange,
): Promise<Readable> {
  return store.get(dataKey(artifact.id), range)
}

function dataKey(id: ArtifactId): string {
  return `artifacts/${id}/data`
}

function recordKey(id: ArtifactId): string {
  return `artifacts/${id}/artifact.json`
}
