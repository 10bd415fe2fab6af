import { setImmediate } from 'node:timers/promises'
import type { ObjectStore } from '@edgesmith/store/object-store'

const changes = ['put', 'putIfAbsent', 'remove', 'join'] as const
const operations = [...changes, 'get', 'openRange', 'stat', 'list', 'check'] as const

type Operation = (typeof operations)[number]

/** A store each of whose operations passes `before` first. */
function intercept(store: ObjectStore, before: (operation: Operation) => Promise<void>): ObjectStore {
  return new Proxy(store, {
    get(target, property) {
      const found: unknown = Reflect.get(target, property)
      if (typeof found !== 'function') return found
      const operation = operations.find((name) => name === property)
      if (operation === undefined) return found.bind(target) as unknown
      if (operation === 'list') {
        return async function* (prefix: string) {
          await before('list')
          // A listing is taken at one time here, so that others cannot change it while it is read.
          yield* await Array.fromAsync(target.list(prefix))
        }
      }
      return async (...parameters: unknown[]): Promise<unknown> => {
        await before(operation)
        return (found as (...given: unknown[]) => Promise<unknown>).apply(target, parameters)
      }
    },
  })
}

/** The process that has the store died. */
export class Died extends Error {}

/** A store that fails before its n-th change (from 0), and from then on, as if its process had died there. */
export function dyingStore(store: ObjectStore, n: number): ObjectStore & { readonly changes: () => number } {
  let count = 0
  const dying = intercept(store, (operation) => {
    if (count > n) throw new Died()
    if ((changes as readonly string[]).includes(operation)) count += 1
    if (count > n) throw new Died()
    return Promise.resolve()
  })
  return Object.assign(dying, { changes: () => count })
}

/** A store that tells each change before it is made. */
export function watchedStore(store: ObjectStore, onChange: (count: number) => void): ObjectStore {
  let count = 0
  return intercept(store, (operation) => {
    if ((changes as readonly string[]).includes(operation)) onChange((count += 1))
    return Promise.resolve()
  })
}

/**
 * A store whose operations begin one after the other, in a random order of those that wait: several tasks on
 * it are interleaved in another way with each seed.
 */
export function interleavedStore(store: ObjectStore, seed: number): ObjectStore {
  const waiting: (() => void)[] = []
  let isRunning = false
  let state = seed
  const random = (below: number) => {
    // The generator of Park and Miller.
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
  const run = async () => {
    while (waiting.length > 0) {
      await setImmediate()
      waiting.splice(random(waiting.length), 1)[0]?.()
    }
    isRunning = false
  }
  return intercept(
    store,
    () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        if (isRunning) return
        isRunning = true
        void run()
      }),
  )
}

/** How many operations the actor may do while the sweep waits for it; it may wait for the sweep itself. */
const actorSteps = 12

/**
 * Two stores on the same objects for two tasks that meet at one point: `actor` stops before its m-th operation
 * until `sweep` is before its n-th, which then lets it go through to its end. `end` tells that one of them is.
 */
export function meetingStores(store: ObjectStore, m: number, n: number) {
  const arrived = Promise.withResolvers<undefined>()
  const passed = Promise.withResolvers<undefined>()
  let steps = 0
  let sweepSteps = 0
  const actor = intercept(store, async () => {
    steps += 1
    if (steps > m) await arrived.promise
    if (steps > m + actorSteps) passed.resolve(undefined)
  })
  const sweep = intercept(store, async () => {
    sweepSteps += 1
    if (sweepSteps !== n) return
    arrived.resolve(undefined)
    await passed.promise
  })
  return {
    actor,
    sweep,
    end: (who: 'actor' | 'sweep') => {
      ;(who === 'actor' ? passed : arrived).resolve(undefined)
    },
    sweepSteps: () => sweepSteps,
  }
}
