import { createHash } from 'node:crypto'
import type { Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import type { RangeSource } from '@edgesmith/store/range-reader'
import type { Artifact } from '@edgesmith/contract/artifact'
import { Type } from 'typebox'
import { checksumLine, findArtifact, recordKey, type StoredArtifact } from './artifacts.ts'
import { inHashingTurn } from './hashing-turn.ts'
import { underLease } from './lease.ts'

const StoredDigest = Type.Object(
  { sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) },
  { additionalProperties: false },
)

/** Digests that this process computes now, by ETag: images are read once for all who wait. */
const underWay = new WeakMap<ObjectStore, Map<string, Promise<string>>>()

/** Key of the digest of the bytes that an ETag names, where it was computed after they were recorded. */
export function digestKey(etag: string): string {
  return `digests/${etag}.json`
}

/** The SHA-256 of an artifact, lowercase hex, where it is known already. */
export async function knownSha256(
  store: ObjectStore,
  { artifact: { sha256, etag } }: StoredArtifact,
): Promise<string | undefined> {
  return sha256 ?? (await readJson(store, digestKey(etag), StoredDigest))?.sha256
}

/** The artifact with its SHA-256, where that is known already. Its ETag stays as it is. */
export async function withKnownDigest(store: ObjectStore, stored: StoredArtifact): Promise<Artifact> {
  const sha256 = await knownSha256(store, stored)
  return sha256 === undefined ? stored.artifact : { ...stored.artifact, sha256 }
}

/**
 * The SHA-256 of an artifact, lowercase hex: the known one, or it is computed by reading all of the image,
 * from `source` where one is given, and kept for every artifact with the same ETag. A process reads one image
 * at a time, under a lease.
 * @throws NoSuchObject when the image of a checksum, or what an image is made of, is not there any more
 */
export async function sha256Of(
  store: ObjectStore,
  stored: StoredArtifact,
  source: RangeSource = store,
): Promise<string> {
  const known = await knownSha256(store, stored)
  if (known !== undefined) return known
  let ofStore = underWay.get(store)
  if (ofStore === undefined) underWay.set(store, (ofStore = new Map<string, Promise<string>>()))
  const { etag } = stored.artifact
  let computing = ofStore.get(etag)
  if (computing === undefined) {
    computing = computeAndKeep(store, stored, source).finally(() => ofStore.delete(etag))
    ofStore.set(etag, computing)
  }
  return computing
}

/**
 * The bytes of a checksum: the line that `sha256sum` writes of its image, whose digest is computed where it
 * is not known.
 * @throws NoSuchObject when the image is not there any more
 */
export async function checksumBytes(
  store: ObjectStore,
  { of }: Extract<StoredArtifact['content'], { kind: 'checksum' }>,
  source: RangeSource = store,
): Promise<Buffer> {
  const image = await findArtifact(store, of)
  if (image === undefined) throw new NoSuchObject(recordKey(of))
  return Buffer.from(checksumLine(await sha256Of(store, image, source), image.artifact.name))
}

async function computeAndKeep(
  store: ObjectStore,
  { artifact, content }: StoredArtifact,
  source: RangeSource,
): Promise<string> {
  const sha256 =
    content.kind === 'checksum'
      ? digestOf(await checksumBytes(store, content, source))
      : await inHashingTurn(() =>
          underLease(store, artifact.id, async (signal) => {
            if ((await findArtifact(store, artifact.id)) === undefined) {
              throw new NoSuchObject(recordKey(artifact.id))
            }
            return digestOfImage(source, content.manifest, signal)
          }),
        )
  await writeJson(store, digestKey(artifact.etag), { sha256 })
  return sha256
}

async function digestOfImage(source: RangeSource, manifest: Manifest, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  // Chunk by chunk: between two of them others are served.
  const chunks: AsyncIterable<Buffer> = openManifest(source, manifest)
  for await (const chunk of chunks) {
    signal.throwIfAborted()
    hash.update(chunk)
  }
  return hash.digest('hex')
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
