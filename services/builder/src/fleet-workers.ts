import { BuildQueue } from '@edgesmith/builds/build-queue'
import { FleetQueue } from '@edgesmith/builds/fleet-queue'
import { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { FleetWorker } from '@edgesmith/builds/fleet-worker'
import type { BuilderConfig } from './config.ts'
import { computeChecksums } from './fleet-checksums.ts'
import { failFleet, runFleet, type FleetContext } from './fleet-job.ts'

/** How often fleets whose job was lost are looked for, in milliseconds. */
const reconcileIntervalMs = 60_000

/** What the jobs of fleets need of a builder. */
type Builder = Omit<FleetContext, 'fleets' | 'queue'> & {
  readonly config: Pick<BuilderConfig, 'lockSeconds'>
}

/** Begins to run the jobs of fleets. Dispose of the answer to hand unfinished ones on. */
export function startFleetWorkers(builder: Builder): AsyncDisposable {
  const { redis, config, logger } = builder
  const onError = (error: Error) => {
    logger.error({ err: error }, 'A worker of fleets has trouble.')
  }
  const stack = new AsyncDisposableStack()
  const fleets = new FleetRepository(redis)
  const queue = stack.use(new BuildQueue(redis, onError))
  const fleetQueue = stack.use(new FleetQueue(redis, 'fleets', onError))
  const context: FleetContext = { ...builder, fleets, queue }
  const common = { redis, lockDurationMs: config.lockSeconds * 1000, onError }
  const stop = (worker: FleetWorker) => worker.stop()
  stack.adopt(
    new FleetWorker({
      ...common,
      queue: 'fleets',
      run: (fleetId, signal) => runFleet(context, fleetId, signal),
      fail: (fleetId, error) => failFleet(context, fleetId, error),
    }),
    stop,
  )
  stack.adopt(
    new FleetWorker({
      ...common,
      queue: 'fleet-checksums',
      run: (fleetId, signal) => computeChecksums(context, fleetId, signal),
      fail: (fleetId, error) => {
        logger.error({ err: error, fleetId }, 'The checksums of a fleet cannot be computed.')
        return Promise.resolve()
      },
    }),
    stop,
  )
  const reconcile = async () => {
    for (const id of await fleets.listOpen()) await fleetQueue.enqueue(id)
  }
  let reconciling = reconcile().catch(onError)
  const timer = setInterval(() => {
    reconciling = reconcile().catch(onError)
  }, reconcileIntervalMs)
  stack.defer(async () => {
    clearInterval(timer)
    await reconciling
  })
  return stack
}
