import { Readable } from 'node:stream'
import type { Build } from '@edgesmith/contract/build'
import { ProblemError } from '@edgesmith/contract/problem'
import { readFleet } from '@edgesmith/fleets/fleet-record'
import { readUserData } from '@edgesmith/fleets/pack'
import { NoSuchObject } from '@edgesmith/store/object-store'
import { commitUpload, stageUpload } from '@edgesmith/uploads/uploads'
import type { ProjectContext } from './context.ts'

/**
 * Makes the user-data of a fleet's build an upload, where a worker that runs it again looks for it.
 * @throws ProblemError `state-conflict` when the fleet's user-data is no longer stored
 */
export async function provideUserData({ store, uploadLimits }: ProjectContext, build: Build): Promise<void> {
  const fleet = build.fleet === undefined ? undefined : await readFleet(store, build.fleet.id)
  if (fleet === undefined) return
  const userData = await readUserData(store, fleet, build.id).catch((error: unknown) => {
    if (!(error instanceof NoSuchObject)) throw error
    throw new ProblemError(
      'state-conflict',
      'The build cannot be retried: the user-data of its fleet is no longer stored. Submit a new build.',
      { cause: error },
    )
  })
  const staged = await stageUpload(store, Readable.from([userData]), uploadLimits)
  await commitUpload(store, staged, { fileName: 'user-data' })
}
