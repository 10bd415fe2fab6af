import type { RetentionPolicies, RetentionPolicy } from '@edgesmith/contract/retention'
import type { BuildFact } from './facts.ts'

const dayMs = 86_400_000

/** The ended builds that the policies delete now, by identifier; the value is the first policy that says so. */
export function buildsToDelete(
  builds: readonly BuildFact[],
  { policies }: RetentionPolicies,
  now: Date,
): Map<string, string> {
  const doomed = new Map<string, string>()
  for (const policy of policies) {
    const matching = builds.filter((build) => matches(policy, build)).sort(byEnd)
    const { maxAgeDays, maxCount } = policy.keep
    for (const [index, { id, endedAt }] of matching.entries()) {
      const isSurplus = maxCount !== undefined && index >= maxCount
      const isOld = maxAgeDays !== undefined && now.getTime() - timeOf(endedAt) > maxAgeDays * dayMs
      if ((isSurplus || isOld) && !doomed.has(id)) doomed.set(id, policy.name)
    }
  }
  return doomed
}

function matches({ match = {} }: RetentionPolicy, build: BuildFact): boolean {
  if (build.state === 'queued' || build.state === 'running' || build.endedAt === undefined) return false
  const { labels = {}, target, state } = match
  return (
    Object.entries(labels).every(([label, value]) => build.labels[label] === value) &&
    (target === undefined || build.target === target) &&
    (state === undefined || state.includes(build.state))
  )
}

/** Those that ended last come first. */
function byEnd(a: BuildFact, b: BuildFact): number {
  return timeOf(b.endedAt) - timeOf(a.endedAt) || (a.id < b.id ? 1 : -1)
}

function timeOf(at: string | undefined): number {
  return at === undefined ? 0 : Date.parse(at)
}
