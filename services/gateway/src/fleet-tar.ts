import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { findArtifact } from '@edgesmith/artifacts/artifacts'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import { ProblemError } from '@edgesmith/contract/problem'
import { isoOf } from '@edgesmith/fleets/iso-of'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import { pack } from 'tar-stream'
import type { ProjectContext } from './context.ts'

const blockSize = 512

/**
 * The ISOs of sites that a tar is to have, by default all there are.
 * @throws ProblemError `site-not-found`; `state-conflict` for a site without an ISO, and while ISOs are to come
 */
export async function chooseIsos(
  { fleets }: ProjectContext,
  fleetId: string,
  sites: readonly string[],
): Promise<Artifact[]> {
  const { builds: counts } = await fleets.get(fleetId)
  if (sites.length === 0 && counts.queued + counts.running > 0) {
    throw new ProblemError(
      'state-conflict',
      `${counts.queued + counts.running} builds of the fleet have not ended yet. Name the sites you want, or wait.`,
    )
  }
  const wanted = new Set(sites)
  const found = new Map<string, Build>()
  for await (const build of fleets.builds(fleetId)) {
    const site = build.fleet?.site ?? ''
    if (wanted.size === 0 || wanted.has(site)) found.set(site, build)
  }
  const unknown = sites.find((site) => !found.has(site))
  if (unknown !== undefined) throw new ProblemError('site-not-found', `The fleet has no site ${unknown}.`)
  const isos: Artifact[] = []
  for (const [site, build] of found) {
    const iso = isoOf(build)
    if (iso !== undefined) isos.push(iso)
    else if (wanted.size > 0) {
      throw new ProblemError('state-conflict', `The site ${site} has no ISO: its build is ${build.state}.`)
    }
  }
  return isos
}

/** Size of the tar of these files: names are short enough for one header each. */
export function tarSize(files: readonly Pick<Artifact, 'size'>[]): number {
  const padded = files.map(({ size }) => blockSize + Math.ceil(size / blockSize) * blockSize)
  return padded.reduce((sum, size) => sum + size, 0) + 2 * blockSize
}

/**
 * One tar of ISOs, read from the store as it is read. A file of 8 GiB and more has its size in base-256,
 * as GNU tar writes it. The stream fails with `NoSuchObject` when an ISO goes meanwhile.
 */
export function openTar(store: ObjectStore, isos: readonly Artifact[]): Readable {
  const tar = pack()
  const fill = async () => {
    for (const { id, name, size, createdAt } of isos) {
      const stored = await findArtifact(store, id)
      if (stored?.content.kind !== 'manifest') throw new NoSuchObject(`artifacts/${id}`)
      const entry = tar.entry({ name, size, mode: 0o644, mtime: new Date(createdAt) })
      await pipeline(openManifest(store, stored.content.manifest), entry)
    }
    tar.finalize()
  }
  fill().catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error('The tar broke off.', { cause: error }))
  })
  return Readable.from(tar, { objectMode: false })
}
