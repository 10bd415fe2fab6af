import type { StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { readArchivedBuild } from '@edgesmith/builds/build-archive'
import { readFleetBuild } from '@edgesmith/builds/fleet-archive'
import type { Build } from '@edgesmith/contract/build'
import type { ObjectStore } from '@edgesmith/store/object-store'

/** The record of the build that made an artifact, where the store has it: once the build, or its fleet, has ended. */
export async function buildOf(
  store: ObjectStore,
  { artifact: { buildId }, fleetId }: StoredArtifact,
): Promise<Build | undefined> {
  const build = await readArchivedBuild(store, buildId)
  return build ?? (fleetId === undefined ? undefined : await readFleetBuild(store, fleetId, buildId))
}
