import { removeArtifact } from '@edgesmith/artifacts/artifacts'
import { forgetBase } from '@edgesmith/bases/base-store'
import { deliver, InputDamaged } from '@edgesmith/bases/delivery'
import { readEngineProfile } from '@edgesmith/bases/engine-profile'
import { ImageDigests } from '@edgesmith/bases/image-digests'
import { isLayered, recipeKeys, type Recipe } from '@edgesmith/bases/keys'
import { findUsableBase } from '@edgesmith/bases/usable-base'
import { BaseCondemned } from '@edgesmith/bases/variant'
import { finishBuild } from '@edgesmith/builds/build-state'
import { createEndedBuild } from '@edgesmith/builds/ended-build'
import type { Reservation } from '@edgesmith/builds/idempotency'
import type { Build } from '@edgesmith/contract/build'
import { NoSuchObject } from '@edgesmith/store/object-store'
import type { GatewayContext } from './context.ts'

/**
 * Answers a build from what is stored, where an image has all of it but the user-data: the ISO is stamped here
 * and now, and the build has succeeded when it is told. Undefined for a build that a worker has to make.
 * @throws ProblemError what `BuildRepository.create` throws
 */
export async function answerAtOnce(
  context: GatewayContext,
  queued: Build,
  inputs: Recipe['inputs'],
  at: Date,
  reservation: Reservation | undefined,
): Promise<Build | undefined> {
  const { store, repository } = context
  const made = await makeFromBase(context, queued, inputs)
  if (made === undefined) return undefined
  const started = { ...queued, startedAt: at.toISOString() }
  const ended = finishBuild(started, { state: 'succeeded', ...made.delivery }, new Date())
  const lines = made.lines.map((line) => `[edgesmith] ${line}`)
  try {
    await createEndedBuild({ store, repository }, { queued, ended, lines, at, reservation })
  } catch (error) {
    for (const { id } of ended.artifacts) await removeArtifact(store, id)
    throw error
  }
  return ended
}

async function makeFromBase(
  { store, redis, repository }: GatewayContext,
  build: Build,
  inputs: Recipe['inputs'],
): Promise<Awaited<ReturnType<typeof deliver>> | undefined> {
  if (!isLayered(build) || build.spec.cache === 'bypass') return undefined
  const profile = await readEngineProfile(redis)
  if (profile === undefined) return undefined
  const { canvos, target, arguments: buildArguments } = build
  const recipe: Recipe = { canvos, target, arguments: buildArguments, inputs }
  const keys = recipeKeys(recipe, profile)
  const { insecureRegistries, imageDigestTtlSeconds: ttlSeconds } = profile
  await using digests = new ImageDigests({ redis, insecureRegistries, ttlSeconds })
  const usable = await findUsableBase({ store, digests }, keys)
  // A worker has the time to look closer, and a log to warn in.
  if (usable === undefined || usable.warnings.length > 0) return undefined
  try {
    return await deliver({ store, builds: repository }, { build, recipe, keys, base: usable.base })
  } catch (error) {
    // A worker says what is wrong with an input.
    if (error instanceof InputDamaged) return undefined
    if (!(error instanceof BaseCondemned) && !(error instanceof NoSuchObject)) throw error
    await forgetBase(store, usable.base)
    return undefined
  }
}
