import { posix } from 'node:path'
import { text } from 'node:stream/consumers'
import { dataKey, publishArtifact, removeArtifact } from '@edgesmith/artifacts/artifacts'
import type { Origin } from '@edgesmith/builds/build-state'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build, BuildProof } from '@edgesmith/contract/build'
import { FileName } from '@edgesmith/contract/identifiers'
import type { TakenEntry } from '@edgesmith/engine/archive'
import { dockerStatus } from '@edgesmith/engine/docker'
import { checkIso } from '@edgesmith/iso/check'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { objectManifest } from '@edgesmith/manifest/manifest'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Value } from 'typebox/value'
import { BuildFault } from './build-fault.ts'
import { proveInputs, type StoredIso } from './proof.ts'
import type { LaidInput } from './workspace.ts'

/** Where CanvOS leaves what it made (`SAVE ARTIFACT … AS LOCAL ./build/…` in its Earthfile). */
export const outputDirectory = 'build'

/** Bytes of a `.sha256` file that are read at the most. */
export const checksumFileLimit = 64 * 1024

/** What a build made: its artifacts, and that its inputs are in the ISO image, where there is one. */
export type Output = { readonly artifacts: Artifact[]; readonly proof?: BuildProof } & Origin

/**
 * Makes every file of CanvOS's output directory an artifact, and checks them: against the checksums
 * written beside them, each ISO image for being one, and the ISO for having the inputs inside. When
 * that fails, nothing of them is left.
 * @throws BuildFault `no-output`, `checksum-mismatch`, `invalid-iso`, `input-missing`, `invalid-output`
 * for a file that cannot be an artifact
 */
export async function publishOutput(
  store: ObjectStore,
  build: Build,
  output: AsyncIterable<TakenEntry>,
  signal: AbortSignal,
  laid: readonly LaidInput[],
): Promise<Output> {
  const artifacts: Artifact[] = []
  try {
    for await (const entry of entriesOf(output)) {
      signal.throwIfAborted()
      const name = plainName(entry)
      artifacts.push(await publishArtifact(store, { buildId: build.id, name, source: entry.body, signal }))
    }
    assertComplete(build, artifacts)
    await checkSums(store, artifacts)
    for (const { id, name, size } of artifacts.filter(isIso)) {
      await checkImage(store, { name, manifest: objectManifest(dataKey(id), size) })
    }
    const iso = artifacts.find(isIso)
    if (iso === undefined) return { artifacts }
    const manifest = objectManifest(dataKey(iso.id), iso.size)
    return { artifacts, proof: await proveInputs(store, { name: iso.name, manifest }, laid) }
  } catch (error) {
    await removeArtifacts(store, artifacts)
    throw error
  }
}

/** Removes artifacts of a build that does not succeed after all. */
export async function removeArtifacts(store: ObjectStore, artifacts: readonly Artifact[]): Promise<void> {
  for (const { id } of artifacts) await removeArtifact(store, id)
}

/** What is in the output directory; nothing when there is none. */
export async function* entriesOf(output: AsyncIterable<TakenEntry>): AsyncGenerator<TakenEntry> {
  try {
    for await (const entry of output) {
      const isRoot = entry.type === 'directory' && posix.normalize(`${entry.path}/`) === `${outputDirectory}/`
      if (!isRoot) yield entry
    }
  } catch (error) {
    if (dockerStatus(error) !== 404) throw error
  }
}

/** Name of a file of the output directory. @throws BuildFault `invalid-output` */
export function plainName(entry: TakenEntry): string {
  const name = posix.relative(outputDirectory, entry.path)
  if (entry.type === 'file' && Value.Check(FileName, name)) return name
  const what =
    entry.type === 'file'
      ? 'a file whose name has other characters than letters, digits and `._+-`'
      : `a ${entry.type}`
  throw new BuildFault('invalid-output', `${entry.path} is ${what}. Only plain files can become artifacts.`)
}

export function isIso({ name }: Pick<Artifact, 'name'>): boolean {
  return name.endsWith('.iso')
}

/** @throws BuildFault `no-output` when there is no ISO and the target is to make one */
export function assertComplete(
  { target }: Pick<Build, 'target'>,
  artifacts: readonly Pick<Artifact, 'name'>[],
): void {
  // Provider images go to a registry; nothing of them has to be left here.
  if (target === 'provider-images' || artifacts.some(isIso)) return
  const found = artifacts.length === 0 ? 'nothing' : artifacts.map(({ name }) => name).join(', ')
  throw new BuildFault(
    'no-output',
    `Earthly succeeded, but there is no ISO image in ${outputDirectory}/: it holds ${found}.`,
  )
}

/** CanvOS writes `sha256sum X > X.sha256` beside an image (`+build-iso` in its Earthfile). */
async function checkSums(store: ObjectStore, artifacts: readonly Artifact[]): Promise<void> {
  for (const sums of artifacts) {
    const summed = artifacts.find(({ name }) => `${name}.sha256` === sums.name)
    if (summed === undefined) continue
    const content = await text(await store.get(dataKey(sums.id), { offset: 0, length: checksumFileLimit }))
    assertSum(summed, sums.name, content)
  }
}

/** @throws BuildFault `checksum-mismatch` unless that is what `sha256sum` writes of the file */
export function assertSum(
  { name, sha256 }: { name: string; sha256?: string | undefined },
  sumsName: string,
  sums: string,
): void {
  const written = /^\\?([0-9a-f]{64})(?:\s|$)/i.exec(sums)?.[1]?.toLowerCase()
  if (written === sha256) return
  throw new BuildFault(
    'checksum-mismatch',
    `${name} has the SHA-256 ${sha256 ?? 'unknown'}, but ${sumsName} says ${written ?? 'none'}.`,
  )
}

/** @throws BuildFault `invalid-iso` unless the image is one that boots */
export async function checkImage(store: ObjectStore, { name, manifest }: StoredIso): Promise<void> {
  const { faults } = await checkIso(new ImageReader(store, manifest))
  if (faults.length === 0) return
  throw new BuildFault('invalid-iso', `${name}: ${faults.map(({ message }) => message).join(' ')}`)
}
