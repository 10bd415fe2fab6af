import { BuildQueue } from '@edgesmith/builds/build-queue'
import { FleetQueue } from '@edgesmith/builds/fleet-queue'
import { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { FleetWorker } from '@edgesmith/builds/fleet-worker'
import type { BuilderConfig } from './config.ts'
import { inProject, sharesOf } from './context.ts'
import { computeChecksums } from './fleet-checksums.ts'
import { failFleet, runFleet, type FleetContext } from './fleet-job.ts'

/** How often fleets whose job was lost are looked for, in milliseconds. */
const reconcileIntervalMs = 60_000

/** What the jobs of fleets need of a builder. */
type Builder = Omit<FleetContext, 'fleets' | 'queue' | 'store'> & {
  readonly config: Pick<BuilderConfig, 'lockSeconds'>
}

/** Workers of fleets; disposing hands unfinished jobs on. */
export type FleetWorkers = AsyncDisposable & {
  /** Looks for fleets whose job was lost before it is time to. */
  lookForLost(): void
}

/** Begins to run the jobs of fleets. */
export function startFleetWorkers(builder: Builder): FleetWorkers {
  const { redis, config, logger } = builder
  const onError = (error: Error) => {
    logger.error({ err: error }, 'A worker of fleets has trouble.')
  }
  const stack = new AsyncDisposableStack()
  const fleets = new FleetRepository(redis)
  const queue = stack.use(new BuildQueue(redis, onError, sharesOf(builder)))
  const fleetQueue = stack.use(new FleetQueue(redis, 'fleets', onError))
  /** The part of a fleet's project; undefined when the fleet is gone, and then nothing is to be done for it. */
  const findContext = async (fleetId: string): Promise<FleetContext | undefined> => {
    const fleet = await fleets.find(fleetId)
    if (fleet !== undefined) return { ...inProject(builder, fleet), fleets: fleets.within(fleet), queue }
    await fleets.close(fleetId)
    return undefined
  }
  const common = { redis, lockDurationMs: config.lockSeconds * 1000, onError }
  const stop = (worker: FleetWorker) => worker.stop()
  stack.adopt(
    new FleetWorker({
      ...common,
      queue: 'fleets',
      run: async (fleetId, signal) => {
        const context = await findContext(fleetId)
        return context === undefined ? 'done' : runFleet(context, fleetId, signal)
      },
      fail: async (fleetId, error) => {
        const context = await findContext(fleetId)
        if (context !== undefined) await failFleet(context, fleetId, error)
      },
    }),
    stop,
  )
  stack.adopt(
    new FleetWorker({
      ...common,
      queue: 'fleet-checksums',
      run: async (fleetId, signal) => {
        const context = await findContext(fleetId)
        return context === undefined ? 'done' : computeChecksums(context, fleetId, signal)
      },
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
  const lookForLost = () => {
    reconciling = reconciling.then(reconcile).catch(onError)
  }
  const timer = setInterval(lookForLost, reconcileIntervalMs)
  let isStopping = false
  stack.defer(async () => {
    isStopping = true
    clearInterval(timer)
    await reconciling
  })
  return {
    lookForLost: () => {
      if (!isStopping) lookForLost()
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
