import { findArtifact } from '@edgesmith/artifacts/artifacts'
import { digestKey, knownSha256 } from '@edgesmith/artifacts/digest'
import type { FleetJobResult } from '@edgesmith/builds/fleet-worker'
import type { Build } from '@edgesmith/contract/build'
import { isoOf } from '@edgesmith/fleets/iso-of'
import { hashImages } from '@edgesmith/fleets/hash-images'
import type { Manifest } from '@edgesmith/manifest/manifest'
import { writeJson } from '@edgesmith/store/json-object'
import type { FleetContext } from './fleet-job.ts'

/** Images that are hashed in one pass over what they have in common. */
const groupSize = 16

type Unhashed = { readonly buildId: string; readonly etag: string; readonly manifest: Manifest }

/** Computes the SHA-256 of those ISOs of a fleet of which it is not known. What was computed stays. */
export async function computeChecksums(
  context: FleetContext,
  fleetId: string,
  signal: AbortSignal,
): Promise<FleetJobResult> {
  const { fleets } = context
  const known = await fleets.checksums(fleetId)
  let group: Unhashed[] = []
  for await (const build of fleets.builds(fleetId, { state: 'succeeded' })) {
    if (known[build.id] !== undefined) continue
    const unhashed = await findUnhashed(context, fleetId, build)
    if (unhashed !== undefined) group.push(unhashed)
    if (group.length < groupSize) continue
    await hashGroup(context, fleetId, group, signal)
    group = []
  }
  await hashGroup(context, fleetId, group, signal)
  return 'done'
}

async function findUnhashed(
  { store, fleets }: FleetContext,
  fleetId: string,
  build: Build,
): Promise<Unhashed | undefined> {
  const iso = isoOf(build)
  if (iso === undefined || iso.sha256 !== undefined) return undefined
  const stored = await findArtifact(store, iso.id)
  if (stored?.content.kind !== 'manifest') return undefined
  const sha256 = await knownSha256(store, stored)
  if (sha256 === undefined) {
    return { buildId: build.id, etag: stored.artifact.etag, manifest: stored.content.manifest }
  }
  await fleets.keepChecksum(fleetId, build.id, sha256)
  return undefined
}

async function hashGroup(
  { store, fleets }: FleetContext,
  fleetId: string,
  group: readonly Unhashed[],
  signal: AbortSignal,
): Promise<void> {
  const digests = await hashImages(
    store,
    group.map(({ manifest }) => manifest),
    signal,
  )
  for (const [index, { buildId, etag }] of group.entries()) {
    const sha256 = digests[index]
    if (sha256 === undefined) continue
    await writeJson(store, digestKey(etag), { sha256 })
    await fleets.keepChecksum(fleetId, buildId, sha256)
  }
}
