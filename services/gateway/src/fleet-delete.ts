import { removeArtifact } from '@edgesmith/artifacts/artifacts'
import { deleteBuild } from '@edgesmith/retention/delete-build'
import { fleetArchiveKey } from '@edgesmith/builds/fleet-archive'
import { ProblemError } from '@edgesmith/contract/problem'
import { fleetObject } from '@edgesmith/fleets/fleet-record'
import { forEachAtOnce } from '@edgesmith/fleets/for-each-at-once'
import type { ProjectContext } from './context.ts'

/** Builds that are deleted at a time. */
const atOnce = 16

/**
 * Deletes a fleet with its builds and their artifacts. When it breaks off, it can be done again.
 * @throws ProblemError `fleet-not-found`, `state-conflict` while builds have not ended
 */
export async function deleteFleet(context: ProjectContext, fleetId: string): Promise<void> {
  const { fleets, store } = context
  const { builds } = await fleets.get(fleetId)
  if (builds.queued + builds.running > 0) {
    throw new ProblemError(
      'state-conflict',
      `${builds.queued + builds.running} builds of the fleet have not ended. Cancel it before you delete it.`,
    )
  }
  const all = await Array.fromAsync(fleets.builds(fleetId))
  await forEachAtOnce(all, atOnce, async ({ id, artifacts }) => {
    for (const artifact of artifacts) await removeArtifact(store, artifact.id)
    try {
      await deleteBuild(context, id)
    } catch (error) {
      if (!(error instanceof ProblemError) || error.code !== 'build-not-found') throw error
    }
  })
  for (const key of [fleetArchiveKey, ...Object.values(fleetObject)]) await store.remove(key(fleetId))
  await fleets.remove(fleetId)
}
