import { setInterval } from 'node:timers'
import { whileAvailable } from '@edgesmith/builds/redis-connection'
import { ProblemError } from '@edgesmith/contract/problem'
import { projectName, type ProjectRef } from '@edgesmith/contract/project'
import { listProjects } from '@edgesmith/identity/tenants'
import { runRetention, type RetentionParts } from '@edgesmith/retention/run-retention'
import type { FastifyBaseLogger } from 'fastify'

/** Set in Redis until the next run of a project is due: whoever sets it makes the run. */
function turnKeyOf(project: ProjectRef): string {
  return `edgesmith:project:${projectName(project)}:retention-turn`
}

/** How often a worker looks whether a run is due, in milliseconds, unless runs are due more often. */
const lookMs = 60_000

export type RetentionJobParts = RetentionParts & {
  readonly intervalSeconds: number
  readonly logger: FastifyBaseLogger
}

/** Runs the retention of each project from time to time, in one of all workers, until it is disposed of. */
export function keepRetaining({ intervalSeconds, logger, ...parts }: RetentionJobParts): AsyncDisposable {
  const stopping = new AbortController()
  let running = Promise.resolve()
  const runAll = async () => {
    for (const project of await listProjects(parts.stores.whole)) {
      const run = { project, intervalSeconds, logger, signal: stopping.signal }
      // What is wrong with one project is not to keep the others from their turns.
      await runWhenDue(parts, run).catch((error: unknown) => {
        logger.error({ err: error, ...project }, 'Retention failed; it is tried again.')
      })
    }
  }
  const look = () => {
    running = running.then(runAll).catch((error: unknown) => {
      logger.error({ err: error }, 'The projects cannot be listed for retention; it is tried again.')
    })
  }
  look()
  const timer = setInterval(look, Math.min(lookMs, intervalSeconds * 1000))
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      stopping.abort()
      await running
    },
  }
}

async function runWhenDue(
  parts: RetentionParts,
  {
    project,
    intervalSeconds,
    logger,
    signal,
  }: Pick<RetentionJobParts, 'intervalSeconds' | 'logger'> & { project: ProjectRef; signal: AbortSignal },
): Promise<void> {
  if (signal.aborted) return
  const turnKey = turnKeyOf(project)
  const turn = await whileAvailable(() => parts.redis.set(turnKey, '1', 'EX', intervalSeconds, 'NX'))
  if (turn === null) return
  try {
    const { startedAt, endedAt, complete, bytes, ...removed } = await runRetention(parts, {
      project,
      dryRun: false,
      signal,
    })
    const { builds, artifacts, bases, uploads, fleets, objects } = removed
    const counts = Object.entries({ builds, artifacts, bases, uploads, fleets, objects })
    logger.info(
      {
        ...project,
        ...{ startedAt, endedAt, complete, bytes },
        ...Object.fromEntries(counts.map(([name, { count }]) => [name, count])),
      },
      'Retention ran.',
    )
    if (complete) return
  } catch (error) {
    await parts.redis.del(turnKey)
    if (error instanceof ProblemError && error.code === 'retention-running') {
      logger.info('Retention is run by a client now; it is tried again.')
      return
    }
    throw error
  }
  // The next worker goes on.
  await parts.redis.del(turnKey)
}
