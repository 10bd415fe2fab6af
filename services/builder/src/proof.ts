import { createHash } from 'node:crypto'
import { dataKey } from '@edgesmith/artifacts/artifacts'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { BuildProof } from '@edgesmith/contract/build'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { readVolumes } from '@edgesmith/iso/volume'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { objectManifest } from '@edgesmith/manifest/manifest'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { BuildFault } from './build-fault.ts'
import type { LaidInput } from './workspace.ts'

/**
 * Proves that the inputs of a build are in its ISO, byte for byte: nearly every input of CanvOS is
 * `COPY --if-exists`, and a build succeeds without one that was misplaced.
 * @throws BuildFault `input-missing` naming every input that is not there as it was given
 */
export async function proveInputs(
  store: ObjectStore,
  iso: Artifact,
  inputs: readonly LaidInput[],
): Promise<BuildProof> {
  const files = await listFiles(store, iso)
  const proof: BuildProof = { artifact: iso.name, inputs: [], unproved: [] }
  const missing: string[] = []
  for (const { pointer, path, place, sha256, size } of inputs) {
    if ('absent' in place) {
      proof.unproved.push({ pointer, reason: place.absent })
      continue
    }
    const entries = place.split ? partsOf(files, place.path) : [files.get(place.path)].filter(isPresent)
    if (entries.length === 0) {
      missing.push(`${pointer} (${path}) is not in ${iso.name}: there is no ${place.path}`)
      continue
    }
    const found = await digestOf(store, iso, entries)
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

async function listFiles(store: ObjectStore, iso: Artifact): Promise<Map<string, TreeEntry>> {
  const reader = new ImageReader(store, objectManifest(dataKey(iso.id), iso.size))
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

async function digestOf(
  store: ObjectStore,
  iso: Artifact,
  entries: readonly TreeEntry[],
): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for (const { offset, length } of entries.flatMap((entry) => entry.extents)) {
    if (length === 0) continue
    for await (const chunk of (await store.get(dataKey(iso.id), { offset, length })) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      size += chunk.length
    }
  }
  return { sha256: hash.digest('hex'), size }
}
