import { sweepExpiredGrants } from '@edgesmith/artifacts/grant'
import { sweepExpiredLeases } from '@edgesmith/artifacts/lease'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { ProblemError } from '@edgesmith/contract/problem'
import type { RetentionReport } from '@edgesmith/contract/retention'
import type { ObjectStore } from '@edgesmith/store/object-store'
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
  readonly store: ObjectStore
  readonly redis: Redis
  readonly repository: BuildRepository
  readonly settings: RetentionSettings
}

export type RetentionRun = {
  readonly dryRun: boolean
  /** Ends the run early; what it has not come to is left to the next one. */
  readonly signal: AbortSignal
  /** The time by which ages are told; by default that of the call. */
  readonly now?: Date
}

/**
 * Deletes the builds that the policies say, and removes what nothing refers to and nobody is at work on. What
 * refers to what is told by the records themselves, so that a run that dies leaves nothing to be put right:
 * the next one goes on. A dry run only tells, and writes nothing.
 * @throws ProblemError `retention-running` while another run is under way, `retention-refused`
 */
export async function runRetention(
  parts: RetentionParts,
  { dryRun, signal, now = new Date() }: RetentionRun,
): Promise<RetentionReport> {
  const startedAt = new Date()
  const tally = new Tally()
  const fleets = new FleetRepository(parts.redis)
  const reader = new FactReader({ ...parts, fleets })
  if (dryRun) {
    await assertPaired(parts, { adopt: false })
    const { policies } = await readPolicies(parts.store)
    const plan = planSweep(await reader.read(now), policies, parts.settings, now)
    for (const { kind, id, bytes } of plan.removals) tally.add(kind, id, bytes)
    return tally.report({ dryRun, complete: true, startedAt, endedAt: new Date() })
  }
  await using lock = await SweepLock.take(parts.redis)
  if (lock === undefined) {
    throw new ProblemError('retention-running', 'Another run of retention is under way. Try again later.')
  }
  await assertPaired(parts, { adopt: true })
  const sweep = new Sweep({ ...parts, fleets, reader, lock, tally, signal, now })
  const complete = await sweep.run().then(
    () => true,
    (error: unknown) => {
      if (error instanceof SweepStopped) return false
      throw error
    },
  )
  await sweepExpiredLeases(parts.store, now)
  await sweepExpiredGrants(parts.store, now)
  return tally.report({ dryRun, complete, startedAt, endedAt: new Date() })
}
