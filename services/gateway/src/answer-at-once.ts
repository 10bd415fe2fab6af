import { recordKey, removeArtifact } from '@edgesmith/artifacts/artifacts'
import type { Base } from '@edgesmith/bases/base'
import { forgetBase } from '@edgesmith/bases/base-store'
import { deliver, InputDamaged } from '@edgesmith/bases/delivery'
import { readEngineProfile } from '@edgesmith/bases/engine-profile'
import { ImageDigests } from '@edgesmith/bases/image-digests'
import { isLayered, recipeKeys, type Recipe, type RecipeKeys } from '@edgesmith/bases/keys'
import { findUsableBase } from '@edgesmith/bases/usable-base'
import { BaseCondemned } from '@edgesmith/bases/variant'
import { isRefused } from '@edgesmith/builds/accepted-build'
import { removeArchive } from '@edgesmith/builds/build-archive'
import { finishBuild } from '@edgesmith/builds/build-state'
import {
  archiveEndedBuild,
  createEndedBuild,
  resumeEndedBuild,
  type EndedBuild,
} from '@edgesmith/builds/ended-build'
import type { Reservation } from '@edgesmith/builds/idempotency'
import type { Build } from '@edgesmith/contract/build'
import { NoSuchObject } from '@edgesmith/store/object-store'
import { earthlySecretVersions } from '@edgesmith/secrets/build-secrets'
import type { ProjectContext } from './context.ts'
import { vaultOf } from './vault.ts'

/** An image that has all of a build's ISO but the user-data. */
export type ReadyBase = {
  readonly keys: RecipeKeys
  readonly base: Base
  /** Versions of the secrets that Earthly was handed. */
  readonly secrets: Recipe['secrets']
}

/** Looks for the image that a build can be answered from at once. Nothing is written. */
export async function findReadyBase(
  context: ProjectContext,
  build: Build,
  inputs: Recipe['inputs'],
): Promise<ReadyBase | undefined> {
  const { store, redis } = context
  if (!isLayered(build) || build.spec.cache === 'bypass') return undefined
  const profile = await readEngineProfile(redis)
  if (profile === undefined) return undefined
  const secrets = await earthlySecretVersions(vaultOf(context), build.spec.secrets)
  const keys = recipeKeys(recipeOf(build, inputs, secrets), profile)
  const { insecureRegistries, allowed = [], imageDigestTtlSeconds: ttlSeconds } = profile
  await using digests = new ImageDigests({ redis, insecureRegistries, allowed, ttlSeconds })
  const usable = await findUsableBase({ store, digests }, keys)
  // A worker has the time to look closer, and a log to warn in.
  return usable === undefined || usable.warnings.length > 0 ? undefined : { keys, base: usable.base, secrets }
}

export type AtOnceRequest = ReadyBase & {
  readonly queued: Build
  readonly inputs: Recipe['inputs']
  /** The user-data, where it is at hand. */
  readonly userData: Buffer | undefined
  readonly at: Date
  readonly reservation: Reservation | undefined
}

/**
 * Answers a build from an image that is stored: the ISO is stamped here and now, and the build has succeeded
 * when it is told, which it is once all of it is stored. Undefined where a worker has to make it after all.
 * @throws ProblemError what `createEndedBuild` throws; nothing is left where that refused it
 */
export async function answerAtOnce(
  context: ProjectContext,
  request: AtOnceRequest,
): Promise<Build | undefined> {
  const { store, repository } = context
  const ending = await makeFromBase(context, request)
  if (ending === undefined) return undefined
  try {
    await createEndedBuild(repository, ending)
  } catch (error) {
    if (isRefused(error)) {
      for (const { id } of ending.ended.artifacts) await removeArtifact(store, id)
      await removeArchive(store, ending.ended.id)
    }
    throw error
  }
  return ending.ended
}

/** Goes on with a build that was answered so, but could not be told to Redis; undefined where there is none. */
export async function resumeAnswered(
  context: ProjectContext,
  first: Reservation,
): Promise<Build | undefined> {
  const { store } = context
  return resumeEndedBuild(context, first, async (id) => (await store.stat(recordKey(id))) !== undefined)
}

/** Stores the ISO and the archive of the build. */
async function makeFromBase(
  { store, repository }: ProjectContext,
  { queued, inputs, keys, base, secrets, userData, at, reservation }: AtOnceRequest,
): Promise<EndedBuild | undefined> {
  const started = { ...queued, startedAt: at.toISOString() }
  const made: { ending?: EndedBuild } = {}
  try {
    await deliver(
      { store, builds: repository },
      {
        ...{ build: queued, recipe: recipeOf(queued, inputs, secrets), keys, base, userData },
        alongside: async ({ delivery, lines: told }) => {
          const ended = finishBuild(started, { state: 'succeeded', ...delivery }, new Date())
          const lines = told.map((line) => `[edgesmith] ${line}`)
          made.ending = { queued, ended, lines, at, reservation }
          await archiveEndedBuild(store, made.ending)
        },
      },
    )
    return made.ending
  } catch (error) {
    if (made.ending !== undefined) await removeArchive(store, queued.id)
    // A worker says what is wrong with an input.
    if (error instanceof InputDamaged) return undefined
    if (!(error instanceof BaseCondemned) && !(error instanceof NoSuchObject)) throw error
    await forgetBase(store, base)
    return undefined
  }
}

function recipeOf(
  { canvos, target, arguments: buildArguments }: Build,
  inputs: Recipe['inputs'],
  secrets: Recipe['secrets'],
): Recipe {
  return { canvos, target, arguments: buildArguments, inputs, secrets }
}
