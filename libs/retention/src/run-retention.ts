import { sweepExpiredGrants } from '@edgesmith/artifacts/grant'
import { sweepExpiredLeases } from '@edgesmith/artifacts/lease'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { ProblemError } from '@edgesmith/contract/problem'
import type { RetentionReport } from '@edgesmith/contract/retention'
import type { ProjectRef } from '@edgesmith/contract/project'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import type { Redis } from 'ioredis'
import { FactReader } from './fact-reader.ts'
import { planSweep } from './plan-sweep.ts'
import { readPolicies } from './policy-store.ts'
import type { RetentionSettings } from './settings.ts'
import { assertPaired } from './store-identity.ts'
import { Sweep, SweepStopped } from './sweep.ts'
import { SweepLock } from './sweep-lock.ts'
import { Tally } from './tally.ts'

export type RetentionParts = {
  readonly stores: ProjectStores
  readonly redis: Redis
  readonly repository: BuildRepository
  readonly settings: RetentionSettings
}

export type RetentionRun = {
  /** Whose builds and objects are looked at: by its own policies, and no others. */
  readonly project: ProjectRef
  readonly dryRun: boolean
  /** Ends the run early; what it has not come to is left to the next one. */
  readonly signal: AbortSignal
  /** The time by which ages are told; by default that of the call. */
  readonly now?: Date
}

/**
 * Deletes the builds of a project that its policies say, and removes what nothing refers to and nobody is at work on. What
 * refers to what is told by the records themselves, so that a run that dies leaves nothing to be put right:
 * the next one goes on. A dry run only tells, and writes nothing.
 * @throws ProblemError `retention-running` while another run of this project is under way, `retention-refused`
 */
export async function runRetention(
  { stores, redis, repository, settings }: RetentionParts,
  { project, dryRun, signal, now = new Date() }: RetentionRun,
): Promise<RetentionReport> {
  const startedAt = new Date()
  const tally = new Tally()
  // All of the same project: objects would be taken for left ones whose builds are in another.
  const own = {
    store: stores.of(project),
    repository: repository.within(project),
    fleets: new FleetRepository(redis).within(project),
  }
  const { store } = own
  const pair = { redis, store: stores.whole }
  const reader = new FactReader(own)
  if (dryRun) {
    await assertPaired(pair, { adopt: false })
    const { policies } = await readPolicies(store)
    const plan = planSweep(await reader.read(now), policies, settings, now)
    for (const { kind, id, bytes } of plan.removals) tally.add(kind, id, bytes)
    return tally.report({ dryRun, complete: true, startedAt, endedAt: new Date() })
  }
  await using lock = await SweepLock.take(redis, project)
  if (lock === undefined) {
    throw new ProblemError('retention-running', 'Another run of retention is under way. Try again later.')
  }
  await assertPaired(pair, { adopt: true })
  const sweep = new Sweep({ ...own, settings, reader, lock, tally, signal, now })
  const complete = await sweep.run().then(
    () => true,
    (error: unknown) => {
      if (error instanceof SweepStopped) return false
      throw error
    },
  )
  await sweepExpiredLeases(store, now)
  await sweepExpiredGrants(store, now)
  return tally.report({ dryRun, complete, startedAt, endedAt: new Date() })
}
