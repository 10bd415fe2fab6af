import { createHash } from 'node:crypto'
import type { BuildProof } from '@edgesmith/contract/build'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { readVolumes } from '@edgesmith/iso/volume'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { makeManifest, sliceManifest, type Extent, type Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { BuildFault } from './build-fault.ts'
import type { LaidInput } from './workspace.ts'

/** An ISO image in the store. */
export type StoredIso = { readonly name: string; readonly manifest: Manifest }

/** An input to be proved; with `extents`, the image is to refer to these very bytes, which are not read again. */
export type ProvableInput = Omit<LaidInput, 'isIntact'> & { readonly extents?: readonly Extent[] }

/**
 * Proves that the inputs of a build are in its ISO, byte for byte: nearly every input of CanvOS is
 * `COPY --if-exists`, and a build succeeds without one that was misplaced.
 * @throws BuildFault `input-missing` naming every input that is not there as it was given
 */
export async function proveInputs(
  store: ObjectStore,
  iso: StoredIso,
  inputs: readonly ProvableInput[],
): Promise<BuildProof> {
  const files = await listFiles(store, iso)
  const proof: BuildProof = { artifact: iso.name, inputs: [], unproved: [] }
  const missing: string[] = []
  for (const input of inputs) {
    const { pointer, path, place, sha256, size } = input
    if ('absent' in place) {
      proof.unproved.push({ pointer, reason: place.absent })
      continue
    }
    const entries = place.split ? partsOf(files, place.path) : [files.get(place.path)].filter(isPresent)
    if (entries.length === 0) {
      missing.push(`${pointer} (${path}) is not in ${iso.name}: there is no ${place.path}`)
      continue
    }
    const found = await digestOf(store, contentOf(iso, entries), input)
    if (found.sha256 === sha256 && found.size === size) {
      proof.inputs.push({ pointer, paths: entries.map((entry) => entry.path), sha256, size })
    } else {
      missing.push(
        `${pointer} (${path}) is in ${iso.name} with other bytes: ${place.path} has ${found.size} bytes with the SHA-256 ${found.sha256}, and ${size} bytes with ${sha256} were given`,
      )
    }
  }
  if (missing.length === 0) return proof
  throw new BuildFault(
    'input-missing',
    `${missing.join('. ')}. Is this CanvOS tag made to take these inputs?`,
  )
}

async function listFiles(store: ObjectStore, { manifest }: StoredIso): Promise<Map<string, TreeEntry>> {
  const reader = new ImageReader(store, manifest)
  const { primary } = await readVolumes(reader)
  const files = new Map<string, TreeEntry>()
  for await (const entry of walkTree(reader, primary)) {
    if (entry.type === 'file') files.set(entry.path, entry)
  }
  return files
}

/** The parts of a content bundle in their order: `_part00`, `_part01`, …; or the bundle whole, as old tags leave it. */
function partsOf(files: ReadonlyMap<string, TreeEntry>, path: string): TreeEntry[] {
  const whole = files.get(path)
  if (whole !== undefined) return [whole]
  return [...files.values()]
    .filter((entry) => entry.path.startsWith(`${path}_part`) && /_part\d+$/.test(entry.path))
    .sort((a, b) => a.path.localeCompare(b.path, 'en', { numeric: true }))
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined
}

/** The content of files one after the other, as an image of its own. */
function contentOf({ manifest }: StoredIso, entries: readonly TreeEntry[]): Manifest {
  return makeManifest(
    entries.flatMap(({ extents }) => extents).flatMap((extent) => sliceManifest(manifest, extent)),
  )
}

async function digestOf(
  store: ObjectStore,
  content: Manifest,
  { extents, sha256 }: ProvableInput,
): Promise<{ sha256: string; size: number }> {
  const { size } = content
  if (extents !== undefined && isSame(content, makeManifest(extents))) return { sha256, size }
  const hash = createHash('sha256')
  for await (const chunk of openManifest(store, content) as AsyncIterable<Buffer>) hash.update(chunk)
  return { sha256: hash.digest('hex'), size }
}

function isSame(a: Manifest, b: Manifest): boolean {
  return JSON.stringify(a.extents) === JSON.stringify(b.extents)
}
