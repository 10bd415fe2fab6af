import type { LoadReport } from './run-load.ts'

/** What a load may do to the service at the most. */
export type LoadLimits = {
  /** 99 of 100 reads are answered in so many milliseconds. */
  readonly readP99Ms: number
  /** By how much the memory of a service may grow from the second third of the time to the last, as a part. */
  readonly memoryGrowth: number
}

/** Those that are held on 2 processors which clients, Redis, MinIO and builds share. */
export const limitsOfLoad: LoadLimits = { readP99Ms: 200, memoryGrowth: 0.1 }

/** The processes whose memory is to be flat. That of Redis grows with the builds it has. */
const flat = ['gateway', 'validation', 'builder', 'artifact']

/** What of a report is not as it has to be. */
export function unmetCriteria(report: LoadReport, limits: LoadLimits): string[] {
  const { faults, faultCount, reads, processes } = report
  const unmet = faults.map((fault) => `fault: ${fault}`)
  if (faultCount > faults.length) unmet.push(`and ${faultCount - faults.length} faults more`)
  if (reads.count === 0) unmet.push('nothing was read')
  if (reads.p99 > limits.readP99Ms) {
    unmet.push(`p99 of reads: ${reads.p99} ms, and it may be ${limits.readP99Ms}`)
  }
  for (const name of flat) {
    const { residentGrowth = Infinity, anonymousGrowth = Infinity } = processes[name] ?? {}
    for (const [kind, growth] of Object.entries({ residentGrowth, anonymousGrowth })) {
      if (growth > limits.memoryGrowth) {
        unmet.push(`${kind} of ${name}: ${growth}, and it may be ${limits.memoryGrowth}`)
      }
    }
  }
  return unmet
}
