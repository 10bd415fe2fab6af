import type { BuildRepository } from '@edgesmith/builds/build-repository'
import { stateEvent } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import { ProblemError } from '@edgesmith/contract/problem'
import { forEachAtOnce } from '@edgesmith/fleets/for-each-at-once'

/** Builds whose records are changed at a time. */
const atOnce = 64

/**
 * Ends queued builds of a fleet. Their events stay in Redis until the fleet's archive has them. A build
 * that somebody else has changed meanwhile, or deleted, is left as it is; the answer has the ids of those.
 */
export async function endBuilds(
  { repository }: { repository: BuildRepository },
  builds: readonly Build[],
  finish: (build: Build) => Build,
  at: Date,
  lines: readonly string[] = [],
): Promise<Set<string>> {
  const left = new Set<string>()
  await forEachAtOnce(builds, atOnce, async ({ id, attempt }) => {
    try {
      const previous = await repository.read(id)
      if (previous.build.state !== 'queued' || previous.build.attempt !== attempt) {
        left.add(id)
        return
      }
      const ended = finish(previous.build)
      const events = [
        ...lines.map((line) => ({
          event: { type: 'log' as const, at: at.toISOString(), line: `[edgesmith] ${line}` },
        })),
        { event: stateEvent(ended, at) },
      ]
      if ((await repository.save(previous, ended, at, { events })) === undefined) left.add(id)
    } catch (error) {
      if (!(error instanceof ProblemError) || error.code !== 'build-not-found') throw error
      left.add(id)
    }
  })
  return left
}
