import { forgetBase } from '@edgesmith/bases/base-store'
import { deliver, InputDamaged } from '@edgesmith/bases/delivery'
import { BaseCondemned } from '@edgesmith/bases/variant'
import type { Base } from '@edgesmith/bases/base'
import { removeArtifact } from '@edgesmith/artifacts/artifacts'
import { ComposeError } from '@edgesmith/compose/compose-error'
import type { BuildRoad } from '@edgesmith/contract/build'
import { objectsOf } from '@edgesmith/manifest/manifest'
import { DamagedObject, NoSuchObject } from '@edgesmith/store/object-store'
import { isErrno } from '@edgesmith/store/errno'
import { buildBase } from './build-base.ts'
import { BuildFault } from './build-fault.ts'
import { composeBase } from './compose-base.ts'
import { damaged, findInputs } from './workspace.ts'
import type { ProjectContext } from './context.ts'
import { awaitEarthly, planBuild, type Layers, type Plan } from './plan-build.ts'
import { publishOutput, type Output } from './publish.ts'
import { runBuild, type BuildRun } from './run-build.ts'

/** A base went while it was used: the build is to be planned anew. */
export class BaseGone extends Error {
  override name = 'BaseGone'
}

async function makeAsPlanned(context: ProjectContext, run: BuildRun, plan: Plan): Promise<Output> {
  switch (plan.road) {
    case 'plain': {
      const { store } = context
      const { made, images } = await runBuild(context, run, {
        take: (output, laid) => publishOutput(store, run.build, output, run.signal, laid),
      })
      return { ...made, images, engine: context.engine }
    }
    case 'build':
      return await runEarthly(context, run, plan.layers)
    case 'compose': {
      const { layers, base: from, warnings } = plan
      for (const warning of warnings) await run.log.say(warning)
      await run.log.say(
        `An ISO is laid out over the root file system of the base ${from.id}, which the build ${from.buildId} left.`,
      )
      const base = await unlessImpossible(unlessGone(context, from, composeBase(context, run, layers, from)))
      if (base instanceof ComposeError) {
        await run.log.say(`The ISO cannot be laid out so: ${base.message} Earthly runs.`)
        // Its right is to compose these layers; Earthly is run by one build at a time for all of a root.
        await using _flight = await awaitEarthly(context, run.build, layers, run.signal)
        // Whoever had it until now can have left what this one needs.
        const again = await planBuild(context, run.build)
        if (again.road === 'stamp') return await hand(context, run, again.layers, again.base, undefined)
        return await runEarthly(context, run, layers)
      }
      return await hand(context, run, layers, base, 'compose')
    }
    case 'stamp': {
      for (const warning of plan.warnings) await run.log.say(warning)
      return await hand(context, run, plan.layers, plan.base, undefined)
    }
  }
}

/** Runs Earthly, and makes the ISO of the base that it leaves. */
async function runEarthly(context: ProjectContext, run: BuildRun, layers: Layers): Promise<Output> {
  const { base, others } = await buildBase(context, run, layers)
  try {
    const output = await hand(context, run, layers, base, 'build')
    return { ...output, artifacts: [...output.artifacts, ...others] }
  } catch (error) {
    for (const { id } of others) await removeArtifact(context.store, id)
    throw error
  }
}

/** Why an image cannot be composed, in place of it. */
async function unlessImpossible<T>(operation: Promise<T>): Promise<T | ComposeError> {
  try {
    return await operation
  } catch (error) {
    if (error instanceof ComposeError) return error
    throw error
  }
}

/** Makes the ISO of a base, and tells of it. */
async function hand(
  context: ProjectContext,
  { build, log, signal }: BuildRun,
  { recipe, keys }: Layers,
  base: Base,
  road: BuildRoad | undefined,
): Promise<Output> {
  const { store, repository } = context
  const { delivery, lines } = await unlessGone(
    context,
    base,
    deliver(
      { store, builds: repository },
      { build, recipe, keys, base, road, digest: road === 'build', signal },
    ),
  )
  for (const line of lines) await log.say(line)
  return delivery
}

/** Forgets a base that is being removed, or whose bytes are gone or damaged. @throws BaseGone */
async function unlessGone<T>({ store }: ProjectContext, base: Base, operation: Promise<T>): Promise<T> {
  try {
    return await operation
  } catch (error) {
    if (error instanceof InputDamaged) throw damaged([error.pointer])
    const isDamaged =
      error instanceof DamagedObject && objectsOf(base.manifest).some((key) => error.isOf(key))
    if (!isDamaged && !(error instanceof BaseCondemned) && !(error instanceof NoSuchObject)) throw error
    await forgetBase(store, base)
    throw new BaseGone(`The base ${base.id} is ${isDamaged ? 'damaged' : 'gone'}.`, { cause: error })
  }
}

/**
 * Makes what a build is to make, the way that was planned.
 * @throws BuildFault, EngineError, BaseGone, the reason of the run's signal
 */
export async function makeBuild(context: ProjectContext, run: BuildRun, plan: Plan): Promise<Output> {
  try {
    return await makeAsPlanned(context, run, plan)
  } catch (error) {
    if (isDiskFull(error)) throw diskFull(context)
    throw await nameDamaged(context, run, error)
  }
}

/** Whether an error comes of a full disk of the worker's own, where trees of CanvOS are checked out. */
function isDiskFull(error: unknown): boolean {
  if (error instanceof SuppressedError) return isDiskFull(error.error) || isDiskFull(error.suppressed)
  if (!(error instanceof Error) || error instanceof BuildFault) return false
  return (
    isErrno(error, 'ENOSPC', 'EDQUOT') ||
    /No space left on device/.test(error.message) ||
    isDiskFull(error.cause)
  )
}

function diskFull({ config }: ProjectContext): BuildFault {
  const place = config.workDirectory ?? 'the directory for temporary files (WORK_DIRECTORY)'
  return new BuildFault(
    'insufficient-resources',
    `The worker has no room left in ${place}. Retry the build once there is some.`,
  )
}

/** The fault of a build whose input is damaged in the store; any other error as it is. */
async function nameDamaged({ store }: ProjectContext, { build }: BuildRun, error: unknown): Promise<unknown> {
  const found = damagedObject(error)
  if (found === undefined) return error
  const inputs = await findInputs(store, build)
  const pointers = inputs.filter(({ objectKey }) => found.isOf(objectKey)).map(({ pointer }) => pointer)
  return pointers.length > 0 ? damaged([...new Set(pointers)]) : error
}

/** What is damaged, where an error comes of that. */
function damagedObject(error: unknown): DamagedObject | undefined {
  if (error instanceof DamagedObject) return error
  if (error instanceof SuppressedError) return damagedObject(error.error) ?? damagedObject(error.suppressed)
  return error instanceof Error && error.cause !== undefined ? damagedObject(error.cause) : undefined
}
