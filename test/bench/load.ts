import { limitsOfLoad, unmetCriteria } from '../load/criteria.ts'
import { runLoad } from '../load/run-load.ts'
import { round } from '../load/figures.ts'
import { ensureSetUp } from './support/ensure-set-up.ts'

const MiB = 1024 ** 2

/**
 * `seed` chooses what clients do; `thinkMs` is the mean time between two things that one does, and `readP99Ms` the
 * limit, in milliseconds.
 */
export const options = {
  ...{ clients: 500, seconds: 300, seed: 1, thinkMs: 10_000 },
  readP99Ms: limitsOfLoad.readP99Ms,
}

/**
 * 500 clients of five tenants that submit, follow events, upload, download and look around for five minutes,
 * with the stack, MinIO, Redis and Docker on the same processors. Standard error has all figures; the exit code
 * is 1 where a criterion is not met (`limitsOfLoad`).
 */
export async function run({ readP99Ms, ...load }: typeof options): Promise<Record<string, number>> {
  await ensureSetUp()
  const report = await runLoad(load)
  const unmet = unmetCriteria(report, { ...limitsOfLoad, readP99Ms })
  console.error(JSON.stringify(report, undefined, 2))
  for (const line of unmet) console.error(line)
  if (unmet.length > 0) process.exitCode = 1
  const { reads, done, clientDelay, processes } = report
  const memory = Object.entries(processes).flatMap(([name, figures]): [string, number][] => [
    [`${name}MiB`, figures.residentMiB],
    [`${name}Growth`, figures.residentGrowth],
    [`${name}AnonymousGrowth`, figures.anonymousGrowth],
    [`${name}Processors`, figures.processors],
  ])
  return {
    clients: load.clients,
    seconds: load.seconds,
    thinkMs: load.thinkMs,
    requests: report.requests,
    requestsPerSecond: report.requestsPerSecond,
    unmet: unmet.length,
    faults: report.faultCount,
    refusals: report.refusals,
    reads: reads.count,
    readP50Ms: reads.p50,
    readP95Ms: reads.p95,
    readP99Ms: reads.p99,
    readMostMs: reads.most,
    clientDelayP99Ms: clientDelay.p99,
    clientDelayMostMs: clientDelay.most,
    buildsMade: done.built,
    buildsStamped: done.stamped,
    buildsCanceled: done.canceled,
    streams: done.streams,
    streamsResumed: done.streamsResumed,
    events: done.events,
    uploads: done.uploads,
    uploadedMiB: round(done.uploadedBytes / MiB),
    downloads: done.downloads,
    downloadedMiB: round(done.downloadedBytes / MiB),
    ...Object.fromEntries(memory),
  }
}
