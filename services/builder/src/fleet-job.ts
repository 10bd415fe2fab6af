import type { Base } from '@edgesmith/bases/base'
import { findUsableBase } from '@edgesmith/bases/usable-base'
import { isLayered, recipeKeys } from '@edgesmith/bases/keys'
import type { BuildQueue } from '@edgesmith/builds/build-queue'
import { describeFailure, finishBuild, cancelBuild, isEnd } from '@edgesmith/builds/build-state'
import { requestCancel } from '@edgesmith/builds/cancellation'
import type { FleetRepository } from '@edgesmith/builds/fleet-repository'
import type { FleetJobResult } from '@edgesmith/builds/fleet-worker'
import type { Build } from '@edgesmith/contract/build'
import { ProblemError } from '@edgesmith/contract/problem'
import { createBuilds } from '@edgesmith/fleets/create-builds'
import { readFleet, type FleetRecord, type SiteRecord } from '@edgesmith/fleets/fleet-record'
import { forEachAtOnce } from '@edgesmith/fleets/for-each-at-once'
import { readUserData } from '@edgesmith/fleets/pack'
import type { ProjectContext } from './context.ts'
import { archiveFleet } from './fleet-archive.ts'
import { endBuilds } from './fleet-ends.ts'
import { recipeOfSite, stampSites } from './fleet-stamp.ts'
import { commitUserData } from './fleet-user-data.ts'

/** What the job of a fleet works with: the part of its project. */
export type FleetContext = Pick<
  ProjectContext,
  'redis' | 'repository' | 'events' | 'stores' | 'store' | 'digests' | 'maker' | 'logger'
> & { readonly fleets: FleetRepository; readonly queue: BuildQueue }

/** After how long a fleet is looked at again whose builds are under way, in milliseconds. */
const laterMs = 2000

/** Requests to Redis and to the store that are under way at a time. */
const atOnce = 32

/**
 * Does what there is to do for a fleet now: cancels its builds where a client asked for it; else stamps
 * those whose base is there, has one build make the base where there is none, and has those built one by
 * one that have files of their own. To be run again until all builds have ended; whatever was done before
 * is not done once more.
 */
export async function runFleet(
  context: FleetContext,
  fleetId: string,
  signal: AbortSignal,
): Promise<FleetJobResult> {
  const { fleets, store } = context
  const flags = await fleets.readFlags(fleetId)
  if (flags === undefined) {
    await fleets.close(fleetId)
    return 'done'
  }
  const record = await readFleet(store, fleetId)
  if (record === undefined) throw new Error(`The record of the fleet ${fleetId} is not in the store.`)
  if (!flags.isComplete) {
    // The gateway was lost before it had created all builds, or is still at it.
    await createBuilds(context.repository, record)
    await fleets.complete(fleetId)
  }
  const isCanceled = (await fleets.readFlags(fleetId))?.isCanceled === true
  await (isCanceled ? cancelOpen(context, record) : advance(context, record, signal))
  await archiveFleet(context, fleetId)
  const { builds } = await fleets.get(fleetId)
  if (builds.queued + builds.running > 0) return { laterMs }
  await fleets.close(fleetId)
  return 'done'
}

/** Ends the builds of a fleet whose job failed as often as it may. */
export async function failFleet(context: FleetContext, fleetId: string, error: Error): Promise<void> {
  const { fleets, logger } = context
  logger.error({ err: error, fleetId }, 'The job of a fleet failed.')
  await failQueued(
    context,
    fleetId,
    'The builder failed unexpectedly while it made the fleet. Retry the build, and look at the logs of the builder.',
  )
  await archiveFleet(context, fleetId)
  const { builds } = await fleets.get(fleetId)
  if (builds.queued + builds.running === 0) await fleets.close(fleetId)
}

async function cancelOpen(context: FleetContext, { id }: FleetRecord): Promise<void> {
  const { fleets } = context
  const queued = await Array.fromAsync(fleets.builds(id, { state: 'queued' }))
  const at = new Date()
  await endBuilds(context, queued, (build) => cancelBuild(build, at), at)
  for await (const { id: buildId } of fleets.builds(id, { state: 'running' })) {
    try {
      await requestCancel(context, buildId, at)
    } catch (error) {
      // It has ended by itself meanwhile.
      if (!(error instanceof ProblemError) || error.code !== 'state-conflict') throw error
    }
  }
}

/** A site whose build is queued. */
type QueuedSite = { readonly site: SiteRecord; readonly build: Build }

async function advance(context: FleetContext, record: FleetRecord, signal: AbortSignal): Promise<void> {
  const queued = await findQueued(context, record)
  if (queued.length === 0) return
  const shared = record.sites.filter(({ own }) => own === undefined)
  const leader = isLayered(record.build) ? await findLeader(context, shared) : undefined
  if (leader === undefined) {
    await submitAll(context, record, queued)
    return
  }
  const recipe = await recipeOfSite(context.store, record, leader.site)
  const usable =
    recipe === undefined ? undefined : await findUsableBase(context, recipeKeys(recipe, context.maker))
  const slot = usable?.base.userData
  if (recipe !== undefined && usable !== undefined && slot !== undefined && mayUse(record, usable.base)) {
    const fits = ({ site }: QueuedSite) => site.own === undefined && site.userData.size <= slot.capacity
    await stampSites(context, { record, recipe, usable, queued: queued.filter(fits), signal })
    await submitAll(
      context,
      record,
      queued.filter((one) => !fits(one)),
    )
    return
  }
  await followLeader(context, record, queued, leader)
}

/** A fleet that bypasses what earlier builds left is stamped from what its own left. */
function mayUse({ build, sites }: FleetRecord, base: Base): boolean {
  return build.spec.cache !== 'bypass' || sites.some(({ buildId }) => buildId === base.buildId)
}

/** The build that makes the base for all the others: the first that no client canceled. */
async function findLeader(
  { repository }: FleetContext,
  shared: readonly SiteRecord[],
): Promise<QueuedSite | undefined> {
  for (const site of shared) {
    const build = await repository.find(site.buildId)
    if (build !== undefined && build.state !== 'canceled') return { site, build }
  }
  return undefined
}

/** There is no base to stamp: one build makes it, and the others wait. */
async function followLeader(
  context: FleetContext,
  record: FleetRecord,
  queued: readonly QueuedSite[],
  leader: QueuedSite,
): Promise<void> {
  const { state, failure } = leader.build
  if (state === 'queued') await submitAll(context, record, [leader])
  // What it left cannot be stamped.
  else if (state === 'succeeded') await submitAll(context, record, queued)
  else if (isEnd(state)) {
    const reason = failure === undefined ? state : `${failure.title}. ${failure.detail}`
    await failQueued(
      context,
      record.id,
      `The build of the site ${leader.site.name}, which was to make the base of the fleet, did not succeed: ${reason}`,
    )
  }
}

async function findQueued({ fleets }: FleetContext, record: FleetRecord): Promise<QueuedSite[]> {
  const bySite = new Map(record.sites.map((site) => [site.buildId, site]))
  const queued: QueuedSite[] = []
  for await (const build of fleets.builds(record.id, { state: 'queued' })) {
    const site = bySite.get(build.id)
    if (site !== undefined) queued.push({ site, build })
  }
  return queued
}

/** Has builds made one by one, like those that no fleet has; not those that are in the queue already. */
async function submitAll(
  { store, queue }: FleetContext,
  record: FleetRecord,
  sites: readonly QueuedSite[],
): Promise<void> {
  await forEachAtOnce(sites, atOnce / 4, async ({ build }) => {
    if ((await queue.findCondition(build)).is !== 'lost') return
    await commitUserData(store, await readUserData(store, record, build.id))
    await queue.enqueue(build)
  })
}

async function failQueued(context: FleetContext, fleetId: string, detail: string): Promise<void> {
  const at = new Date()
  const queued = await Array.fromAsync(context.fleets.builds(fleetId, { state: 'queued' }))
  const failure = describeFailure('internal', detail)
  await endBuilds(context, queued, (build) => finishBuild(build, { state: 'failed', failure }, at), at)
}
