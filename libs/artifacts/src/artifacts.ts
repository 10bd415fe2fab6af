import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { Artifact } from '@edgesmith/contract/artifact'
import { FleetId } from '@edgesmith/contract/fleet'
import { ArtifactId, type BuildId, type FileName } from '@edgesmith/contract/identifiers'
import { Manifest, manifestId, objectManifest } from '@edgesmith/manifest/manifest'
import { DigestStream, putThrough } from '@edgesmith/store/digest-stream'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type, type Static } from 'typebox'
import { v7 as uuidv7, validate as isUuid } from 'uuid'
import { mediaTypeOf } from './media-type.ts'

/** Where the bytes of an artifact come from. */
const ArtifactContent = Type.Union([
  Type.Object({ kind: Type.Literal('manifest'), manifest: Manifest }, { additionalProperties: false }),
  /** The text of `sha256sum` for another artifact. */
  Type.Object({ kind: Type.Literal('checksum'), of: ArtifactId }, { additionalProperties: false }),
])

/** An artifact as it is recorded in the store. */
export const StoredArtifact = Type.Object(
  {
    artifact: Artifact,
    content: ArtifactContent,
    /** The fleet whose archive has the record of the build. */
    fleetId: Type.Optional(FleetId),
  },
  { additionalProperties: false },
)

export type ArtifactContent = Static<typeof ArtifactContent>
export type StoredArtifact = Static<typeof StoredArtifact>

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
  const sha256 = through.digest()
  const record: Artifact = {
    id,
    buildId,
    name,
    size: through.size,
    sha256,
    etag: sha256,
    mediaType,
    createdAt: new Date().toISOString(),
  }
  const manifest = objectManifest(dataKey(id), through.size)
  try {
    await recordArtifact(store, { artifact: record, content: { kind: 'manifest', manifest } })
  } catch (error) {
    await store.remove(dataKey(id))
    throw error
  }
  return record
}

export type NewImage = {
  buildId: BuildId
  name: FileName
  manifest: Manifest
  /** SHA-256 of the image, lowercase hex, where it is known. */
  sha256?: string | undefined
  /** A new one when left out. */
  id?: ArtifactId
  /** The fleet that keeps the record of the build, where that is not kept by itself. */
  fleetId?: string
}

/** Records an image whose bytes are in the store already, as the extents of a manifest. */
export async function recordImage(store: ObjectStore, image: NewImage): Promise<Artifact> {
  const record = describeImage(image)
  const { manifest, fleetId } = image
  await recordArtifact(store, {
    artifact: record,
    content: { kind: 'manifest', manifest },
    ...(fleetId === undefined ? {} : { fleetId }),
  })
  return record
}

/** The artifact that `recordImage` records. */
export function describeImage({ buildId, name, manifest, sha256, id = uuidv7() }: NewImage): Artifact {
  return {
    id,
    buildId,
    name,
    size: manifest.size,
    ...(sha256 === undefined ? {} : { sha256 }),
    etag: sha256 ?? manifestId(manifest),
    mediaType: mediaTypeOf(name),
    createdAt: new Date().toISOString(),
  }
}

/**
 * Records `<name>.sha256`, the line that `sha256sum` writes of an image, as CanvOS leaves it beside an ISO
 * (`+build-iso` in its Earthfile). Its bytes are made when they are asked for.
 */
export async function recordChecksum(store: ObjectStore, image: Artifact): Promise<Artifact> {
  const record = describeChecksum(image)
  await recordArtifact(store, { artifact: record, content: { kind: 'checksum', of: image.id } })
  return record
}

/** The artifact that `recordChecksum` records. */
export function describeChecksum(image: Artifact): Artifact {
  const name = `${image.name}.sha256`
  return {
    id: uuidv7(),
    buildId: image.buildId,
    name,
    size: checksumLine('0'.repeat(64), image.name).length,
    etag: createHash('sha256').update(`checksum of ${image.id}`).digest('hex'),
    mediaType: mediaTypeOf(name),
    createdAt: image.createdAt,
  }
}

/** What `sha256sum` writes of a file. */
export function checksumLine(sha256: string, fileName: string): string {
  return `${sha256}  ${fileName}\n`
}

/** Looks an artifact up; undefined for an id that names none, whatever it is made of. */
export async function findArtifact(store: ObjectStore, id: ArtifactId): Promise<StoredArtifact | undefined> {
  return isUuid(id) ? readJson(store, recordKey(id), StoredArtifact) : undefined
}

/** Removes an artifact, and the bytes that are its alone; one that isn't there is no error. */
export async function removeArtifact(store: ObjectStore, id: ArtifactId): Promise<void> {
  if (!isUuid(id)) return
  await store.remove(recordKey(id))
  await store.remove(imageKey(id))
  await store.remove(dataKey(id))
}

/** Key of the object with the bytes that are an artifact's alone: those of a file, or what a stamp replaced. */
export function dataKey(id: ArtifactId): string {
  return `artifacts/${id}/data`
}

/** Key of the object that an artifact's whole image becomes when it is materialized. */
export function imageKey(id: ArtifactId): string {
  return `artifacts/${id}/image`
}

/** Key of an artifact's record. */
export function recordKey(id: ArtifactId): string {
  return `artifacts/${id}/artifact.json`
}

/** Records an artifact that was described; what it is made of is in the store already. */
export async function recordArtifact(store: ObjectStore, record: StoredArtifact): Promise<void> {
  await writeJson(store, recordKey(record.artifact.id), record)
}
