import { setInterval } from 'node:timers'
import { whileAvailable } from '@edgesmith/builds/redis-connection'
import { ProblemError } from '@edgesmith/contract/problem'
import { runRetention, type RetentionParts } from '@edgesmith/retention/run-retention'
import type { FastifyBaseLogger } from 'fastify'

/** Set in Redis until the next run is due: whoever sets it makes the run. */
const turnKey = 'edgesmith:retention:turn'

/** How often a worker looks whether a run is due, in milliseconds, unless runs are due more often. */
const lookMs = 60_000

export type RetentionJobParts = RetentionParts & {
  readonly intervalSeconds: number
  readonly logger: FastifyBaseLogger
}

/** Runs retention from time to time, in one of all workers, until it is disposed of. */
export function keepRetaining({ intervalSeconds, logger, ...parts }: RetentionJobParts): AsyncDisposable {
  const stopping = new AbortController()
  let running = Promise.resolve()
  const look = () => {
    running = running
      .then(() => runWhenDue(parts, { intervalSeconds, logger, signal: stopping.signal }))
      .catch((error: unknown) => {
        logger.error({ err: error }, 'Retention failed; it is tried again.')
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
    intervalSeconds,
    logger,
    signal,
  }: Pick<RetentionJobParts, 'intervalSeconds' | 'logger'> & { signal: AbortSignal },
): Promise<void> {
  if (signal.aborted) return
  const turn = await whileAvailable(() => parts.redis.set(turnKey, '1', 'EX', intervalSeconds, 'NX'))
  if (turn === null) return
  try {
    const { startedAt, endedAt, complete, bytes, ...removed } = await runRetention(parts, {
      dryRun: false,
      signal,
    })
    const { builds, artifacts, bases, uploads, fleets, objects } = removed
    const counts = Object.entries({ builds, artifacts, bases, uploads, fleets, objects })
    logger.info(
      {
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
