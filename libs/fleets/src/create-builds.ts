import type { BuildRepository } from '@edgesmith/builds/build-repository'
import { ProblemError } from '@edgesmith/contract/problem'
import { siteBuild, type FleetRecord } from './fleet-record.ts'
import { forEachAtOnce } from './for-each-at-once.ts'

/** Builds that are created at a time. */
const atOnce = 64

/**
 * Creates the queued builds of all sites; those that are there already stay as they are. Several processes
 * can be at it.
 */
export async function createBuilds(repository: BuildRepository, record: FleetRecord): Promise<void> {
  const at = new Date(record.createdAt)
  await forEachAtOnce(record.sites, atOnce, async (site) => {
    try {
      await repository.create(siteBuild(record, site), at)
    } catch (error) {
      if (!(error instanceof ProblemError) || error.code !== 'state-conflict') throw error
    }
  })
}
