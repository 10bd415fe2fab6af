import { setTimeout as delay } from 'node:timers/promises'
import type { Base } from '@edgesmith/bases/base'
import { isLayered, recipeKeys, type Recipe, type RecipeKeys } from '@edgesmith/bases/keys'
import { findUsableBase, findUsableRoot } from '@edgesmith/bases/usable-base'
import { takeFlight } from '@edgesmith/builds/flight'
import type { Build } from '@edgesmith/contract/build'
import type { ProjectRef } from '@edgesmith/contract/project'
import { canCompose } from './composition.ts'
import type { ProjectContext } from './context.ts'
import { findRecipe } from './recipe.ts'

/** How often a build that waits for its turn looks whether it has come, in milliseconds. */
const flightLookMs = 1000

/** A recipe with its identities. */
export type Layers = { readonly recipe: Recipe; readonly keys: RecipeKeys }

/** How a build is going to be made. */
export type Plan =
  /** Earthly runs, and what it leaves is the build's alone. */
  | { readonly road: 'plain' }
  /** Earthly runs, and leaves a base. */
  | { readonly road: 'build'; readonly layers: Layers; readonly bypass: boolean }
  | {
      readonly road: 'compose' | 'stamp'
      readonly layers: Layers
      readonly base: Base
      /** What is to be told of the base. */
      readonly warnings: readonly string[]
    }

/** A plan, and the right to carry it out where others wait for it. Dispose of it when that is done. */
export type Departure = AsyncDisposable & { readonly plan: Plan }

/**
 * Chooses the road of a build by what is in the store now. A build that bypasses it is made of nothing that was
 * there before; one of a fleet still takes what the fleet's own builds left, so that Earthly runs once for all.
 */
export async function planBuild(context: ProjectContext, build: Build): Promise<Plan> {
  const { store, maker, mirror } = context
  // What is missing is told by the run.
  const recipe = isLayered(build) ? await findRecipe(store, build) : undefined
  if (recipe === undefined) return { road: 'plain' }
  const keys = recipeKeys(recipe, maker)
  const layers = { recipe, keys }
  if (build.spec.cache === 'bypass' && build.fleet === undefined) {
    return { road: 'build', layers, bypass: true }
  }
  const stampable = await findUsableBase(context, keys)
  if (stampable !== undefined && (await mayUse(context, build, stampable.base))) {
    return { road: 'stamp', layers, ...stampable }
  }
  const related = await findUsableRoot(context, keys)
  if (
    related !== undefined &&
    (await mayUse(context, build, related.base)) &&
    (await canCompose(mirror, recipe, related.base))
  ) {
    return { road: 'compose', layers, ...related }
  }
  return { road: 'build', layers, bypass: false }
}

async function mayUse(
  { repository }: ProjectContext,
  { spec, fleet }: Build,
  { buildId }: Base,
): Promise<boolean> {
  if (spec.cache !== 'bypass') return true
  return fleet !== undefined && (await repository.find(buildId))?.fleet?.id === fleet.id
}

/**
 * Plans a build. Of builds that would make the same base one makes it: the others get `undefined`, and are to
 * be planned again later, when the base is there or its maker is gone.
 */
export async function depart(context: ProjectContext, build: Build): Promise<Departure | undefined> {
  const { redis, config, logger } = context
  for (;;) {
    const plan = await planBuild(context, build)
    const key = flightOf(plan)
    if (key === undefined) return { plan, [Symbol.asyncDispose]: () => Promise.resolve() }
    const flight = await takeFlight({
      redis,
      project: build,
      key,
      ttlMs: config.lockSeconds * 1000,
      onError: (error) => {
        logger.warn({ err: error, buildId: build.id }, 'A flight is not renewed.')
      },
    })
    if (flight === undefined) return undefined
    // Whoever had the right until now can have left a base.
    const again = await planBuild(context, build)
    if (flightOf(again) === key) {
      return { plan: again, [Symbol.asyncDispose]: () => flight[Symbol.asyncDispose]() }
    }
    await flight[Symbol.asyncDispose]()
  }
}

type FlightParts = {
  readonly redis: ProjectContext['redis']
  readonly config: Pick<ProjectContext['config'], 'lockSeconds'>
  readonly logger: { warn(context: object, message: string): void }
}

/**
 * Waits for the right to run Earthly for a base, which a build needs that was not planned so. Dispose of the
 * answer when that is done.
 * @throws the reason of the signal
 */
export async function awaitEarthly(
  { redis, config, logger }: FlightParts,
  project: ProjectRef,
  { keys }: Layers,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  for (;;) {
    const flight = await takeFlight({
      redis,
      project,
      key: earthlyFlight(keys),
      ttlMs: config.lockSeconds * 1000,
      onError: (error) => {
        logger.warn({ err: error }, 'A flight is not renewed.')
      },
    })
    if (flight !== undefined) return flight
    await delay(flightLookMs, undefined, { signal }).catch(() => {
      throw signal.reason
    })
  }
}

function earthlyFlight({ root }: RecipeKeys): string {
  return `root:${root}`
}

/** What only one worker is to make at a time. */
function flightOf(plan: Plan): string | undefined {
  if (plan.road === 'compose') return `layers:${plan.layers.keys.layers}`
  return plan.road === 'build' && !plan.bypass ? earthlyFlight(plan.layers.keys) : undefined
}
