import { text } from 'node:stream/consumers'
import type { StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { inHashingTurn } from '@edgesmith/artifacts/hashing-turn'
import { ProblemError } from '@edgesmith/contract/problem'
import { IsoError } from '@edgesmith/iso/fault'
import { SquashfsTree } from '@edgesmith/iso/squashfs-tree'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { readVolumes } from '@edgesmith/iso/volume'
import { sliceManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { LimitedProcessError } from '@edgesmith/sbom/limited-process'
import { NoPackages } from '@edgesmith/sbom/package-databases'
import { listPackages } from '@edgesmith/sbom/syft'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import { requireImage } from './find-artifact.ts'
import { digestOfFiles, openStoredImage, type StoredImage } from './stored-image.ts'

/** SBOMs that this process makes now, by their keys: a root file system is read once for all who wait. */
const underWay = new WeakMap<ObjectStore, Map<string, Promise<string>>>()

export type SbomRequest = {
  readonly store: ObjectStore
  readonly stored: StoredArtifact
  /** Path or name of syft. */
  readonly tool: string
}

/**
 * The SBOM of an image's root file system, as JSON: the kept one of the object that has the root file system's bytes,
 * or it is made and kept beside that object. It is the same for all images over the same root file system.
 * @throws ProblemError `not-an-iso`, `sbom-unavailable`
 */
export async function sbomOf({ store, stored, tool }: SbomRequest): Promise<string> {
  const manifest = requireImage(stored)
  try {
    const image = await openStoredImage(store, manifest)
    const entry = await findRootFileSystem(image)
    const key = sbomKey(manifest, entry)
    return (
      (await readKept(store, key)) ??
      (await inSingleFlight(store, key, () => make(store, image, entry, tool)))
    )
  } catch (error) {
    throw asProblem(error, stored.artifact.name)
  }
}

/** Beside the object with the bytes; images without any of a base, or an artifact, of their own have none kept. */
function sbomKey(manifest: Manifest, { extents }: TreeEntry): string {
  const [extent] = extents.flatMap((range) => sliceManifest(manifest, range))
  if (extent === undefined || 'zeros' in extent) throw unavailable('Its root file system has no content.')
  const directory = extent.object.slice(0, extent.object.lastIndexOf('/'))
  return `${directory}/sbom-${extent.offset}.json`
}

async function findRootFileSystem({ reader }: StoredImage): Promise<TreeEntry> {
  const found: TreeEntry[] = []
  for await (const entry of walkTree(reader, (await readVolumes(reader)).primary)) {
    if (entry.type === 'file' && entry.path.endsWith('.squashfs')) found.push(entry)
  }
  // CanvOS's images have one; of several, the largest has the packages.
  const [largest] = found.sort((a, b) => b.size - a.size)
  if (largest !== undefined) return largest
  throw unavailable(
    'It has no squashfs. Of Trusted Boot images and others without one the packages cannot be listed.',
  )
}

async function readKept(store: ObjectStore, key: string): Promise<string | undefined> {
  try {
    return await text(await store.get(key))
  } catch (error) {
    if (error instanceof NoSuchObject) return undefined
    throw error
  }
}

function inSingleFlight(store: ObjectStore, key: string, make: () => Promise<string>): Promise<string> {
  let ofStore = underWay.get(store)
  if (ofStore === undefined) underWay.set(store, (ofStore = new Map<string, Promise<string>>()))
  let making = ofStore.get(key)
  if (making === undefined) {
    making = inHashingTurn(async () => {
      const document = await make()
      await store.put(key, Buffer.from(document), { contentType: 'application/json' })
      return document
    }).finally(() => ofStore.delete(key))
    ofStore.set(key, making)
  }
  return making
}

async function make(store: ObjectStore, image: StoredImage, entry: TreeEntry, tool: string): Promise<string> {
  const [extent] = entry.extents
  if (extent === undefined || entry.extents.length > 1) {
    throw unavailable('Its root file system is not in one piece.')
  }
  const tree = await SquashfsTree.open(image.reader, extent.offset, entry.size)
  const { sha256 } = await digestOfFiles(store, image, [entry])
  const sbom = await listPackages(tool, { tree, name: entry.path.slice(1), sha256 })
  return `${JSON.stringify(sbom)}\n`
}

function asProblem(error: unknown, name: string): unknown {
  if (error instanceof IsoError) {
    return new ProblemError('not-an-iso', `${name}: ${error.message}`, { cause: error })
  }
  if (error instanceof NoPackages) return unavailable(error.message)
  if (error instanceof LimitedProcessError) {
    return new ProblemError(
      'sbom-unavailable',
      'The packages cannot be listed: syft cannot be run, or failed. The log of the service says why. `deploy/syft/install.sh` builds it; SBOM_TOOL names it.',
      { cause: error },
    )
  }
  return error
}

function unavailable(reason: string): ProblemError {
  return new ProblemError('sbom-unavailable', reason)
}
