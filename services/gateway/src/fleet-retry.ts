import { Readable } from 'node:stream'
import type { Build } from '@edgesmith/contract/build'
import { readFleet } from '@edgesmith/fleets/fleet-record'
import { readUserData } from '@edgesmith/fleets/pack'
import { commitUpload, stageUpload } from '@edgesmith/uploads/uploads'
import type { GatewayContext } from './context.ts'

/** Makes the user-data of a fleet's build an upload, where a worker that runs it again looks for it. */
export async function provideUserData({ store, config }: GatewayContext, build: Build): Promise<void> {
  const fleet = build.fleet === undefined ? undefined : await readFleet(store, build.fleet.id)
  if (fleet === undefined) return
  const userData = await readUserData(store, fleet, build.id)
  const staged = await stageUpload(store, Readable.from([userData]), config.uploadLimits)
  await commitUpload(store, staged, { fileName: 'user-data' })
}
