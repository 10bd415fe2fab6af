import type { StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { inHashingTurn } from '@edgesmith/artifacts/hashing-turn'
import { ProblemError } from '@edgesmith/contract/problem'
import { ImageContents, type ImageEntry } from '@edgesmith/contract/verification'
import { IsoError } from '@edgesmith/iso/fault'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { readVolumes } from '@edgesmith/iso/volume'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { requireImage } from './find-artifact.ts'
import { digestOfFiles, openStoredImage, type StoredImage } from './stored-image.ts'

/** Key of the listing, with digests, of the image that an ETag names. */
export function contentsKey(etag: string): string {
  return `contents/${etag}.json`
}

/**
 * The tree of an ISO image. With `digests` every file is read once; the listing is kept for all artifacts
 * of the same bytes.
 * @throws ProblemError `not-an-iso`
 */
export async function listContents(
  store: ObjectStore,
  stored: StoredArtifact,
  { digests }: { digests: boolean },
): Promise<ImageContents> {
  const manifest = requireImage(stored)
  const key = contentsKey(stored.artifact.etag)
  const kept = await readJson(store, key, ImageContents)
  if (kept !== undefined) return digests ? kept : { items: kept.items.map(withoutDigest) }
  try {
    const image = await openStoredImage(store, manifest)
    const { primary } = await readVolumes(image.reader)
    const entries = await Array.fromAsync(walkTree(image.reader, primary))
    if (!digests) return { items: entries.map((entry) => toItem(entry)) }
    const known = await inHashingTurn(() => digestAll(store, image, entries))
    const contents = { items: entries.map((entry) => toItem(entry, known.get(entry))) }
    await writeJson(store, key, contents)
    return contents
  } catch (error) {
    if (!(error instanceof IsoError)) throw error
    throw new ProblemError('not-an-iso', `${stored.artifact.name}: ${error.message}`, { cause: error })
  }
}

/** Digests of the files, read in the order in which they lie in the image. */
async function digestAll(
  store: ObjectStore,
  image: StoredImage,
  entries: readonly TreeEntry[],
): Promise<Map<TreeEntry, string>> {
  const digests = new Map<TreeEntry, string>()
  const files = entries.filter(({ type }) => type === 'file')
  const start = ({ extents }: TreeEntry) => extents[0]?.offset ?? 0
  for (const file of files.sort((a, b) => start(a) - start(b))) {
    digests.set(file, (await digestOfFiles(store, image, [file])).sha256)
  }
  return digests
}

function toItem({ type, path, size, symlinkTarget }: TreeEntry, sha256?: string): ImageEntry {
  return {
    path,
    type,
    size: type === 'file' ? size : 0,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(symlinkTarget === undefined ? {} : { target: symlinkTarget }),
  }
}

function withoutDigest({ path, type, size, target }: ImageEntry): ImageEntry {
  return { path, type, size, ...(target === undefined ? {} : { target }) }
}
