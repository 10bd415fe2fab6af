import { streamKey } from '@edgesmith/builds/build-keys'
import { defaultStreamTtlSeconds } from '@edgesmith/builds/build-conclusion'
import { isEnd } from '@edgesmith/builds/build-state'
import { updateFleetArchive } from '@edgesmith/builds/fleet-archive'
import type { Build } from '@edgesmith/contract/build'
import type { FleetContext } from './fleet-job.ts'

/** Streams that are asked about at a time. */
const batch = 500

/**
 * Writes the events of those builds into the archive of the fleet that the fleet ended, and lets their
 * streams expire then. Builds that a worker ended have archives of their own.
 */
export async function archiveFleet(context: FleetContext, fleetId: string): Promise<void> {
  const { redis, events, store } = context
  const found = await findUnarchived(context, fleetId)
  if (found.length === 0) return
  async function* entries() {
    for (const build of found) {
      yield { build, events: await Array.fromAsync(await events.read(build.id, { follow: false })) }
    }
  }
  await updateFleetArchive(store, fleetId, entries(), new Set(found.map(({ id }) => id)))
  for (let start = 0; start < found.length; start += batch) {
    const ids = found.slice(start, start + batch)
    await Promise.all(ids.map(({ id }) => redis.expire(streamKey(id), defaultStreamTtlSeconds)))
  }
}

/** Ended builds whose stream does not expire. */
async function findUnarchived({ redis, fleets }: FleetContext, fleetId: string): Promise<Build[]> {
  const ended = (await Array.fromAsync(fleets.builds(fleetId))).filter(({ state }) => isEnd(state))
  const found: Build[] = []
  for (let start = 0; start < ended.length; start += batch) {
    const builds = ended.slice(start, start + batch)
    const lifetimes = await Promise.all(builds.map(({ id }) => redis.ttl(streamKey(id))))
    found.push(...builds.filter((_build, index) => lifetimes[index] === -1))
  }
  return found
}
