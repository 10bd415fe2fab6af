import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build, BuildEngine, BuildProof, BuildRoad, ResolvedImage } from '@edgesmith/contract/build'
import { objectsOf } from '@edgesmith/manifest/manifest'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { allOrFirstFault } from './all-or-first-fault.ts'
import type { Base } from './base.ts'
import { baseKey } from './base-store.ts'
import { buildKey, userDataOf, type KeyedInput, type Recipe, type RecipeKeys } from './keys.ts'
import { stampVariant, type Variant } from './variant.ts'

export type DeliveryRequest = {
  readonly build: Pick<Build, 'id' | 'arguments'>
  readonly recipe: Recipe
  readonly keys: RecipeKeys
  readonly base: Base
  /** How the ISO is made, when the base was made for it just now. */
  readonly road?: BuildRoad | undefined
  /** True to compute the SHA-256 of the ISO at once, which reads all of it. */
  readonly digest?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  /** Bytes of the user-data, for who has them at hand; they are read from the store otherwise. */
  readonly userData?: Buffer | undefined
  /** See `VariantRequest`. */
  readonly alongside?: ((made: Delivered) => Promise<void>) | undefined
}

/** What a build has when it succeeds. */
export type Delivery = {
  readonly artifacts: Artifact[]
  readonly proof: BuildProof
  readonly road: BuildRoad
  readonly key: string
  readonly baseBuildId?: string
  readonly images: ResolvedImage[]
  readonly engine?: BuildEngine
}

/** What was made, and what the log tells of it. */
export type Delivered = { readonly delivery: Delivery; readonly lines: readonly string[] }

/** The store does not have the bytes of an input that were uploaded. */
export class InputDamaged extends Error {
  override name = 'InputDamaged'
  /** JSON Pointer to the input within the spec. */
  readonly pointer: string

  constructor(pointer: string) {
    super(`The stored bytes of ${pointer} are not those that were uploaded.`)
    this.pointer = pointer
  }
}

/** Where earlier builds are looked up; `BuildRepository` is one. */
type EarlierBuilds = { findByKey(key: string): Promise<Build | undefined> }

/**
 * Makes the ISO of a build from a base, and says how it came about. An ISO that was made before is made again
 * over the same objects: its own few sectors are all that is stored twice, so that each goes when its build does.
 * @throws InputDamaged, and what `stampVariant` throws
 */
export async function deliver(
  { store, builds }: { store: ObjectStore; builds: EarlierBuilds },
  { build, recipe, keys, base, road, digest, signal, userData: atHand, alongside }: DeliveryRequest,
): Promise<Delivered> {
  const key = buildKey(keys, recipe, base.images)
  const userData = base.userData === undefined ? undefined : userDataOf(recipe)
  const [equal, bytes] = await allOrFirstFault([
    road === undefined ? builds.findByKey(key) : undefined,
    userData === undefined ? undefined : readUserData(store, userData, atHand),
  ])
  const taken = road ?? equal?.road ?? (userData === undefined ? roadOf(base) : 'stamp')
  const toDelivered = ({ artifacts, proof }: Variant): Delivered => ({
    delivery: {
      artifacts,
      proof,
      road: taken,
      key,
      ...(base.buildId === build.id ? {} : { baseBuildId: base.buildId }),
      images: base.images,
      ...(base.engine === undefined ? {} : { engine: base.engine }),
    },
    lines: describe(base, equal, userData?.size, road),
  })
  const variant = await stampVariant(store, {
    ...{ build, base, digest, signal },
    userData:
      userData === undefined || bytes === undefined ? undefined : { pointer: userData.pointer, bytes },
    sha256: equal?.artifacts.find(({ name }) => name === equal.proof?.artifact)?.sha256,
    alongside: alongside === undefined ? undefined : (made) => alongside(toDelivered(made)),
  })
  return toDelivered(variant)
}

async function readUserData(
  store: ObjectStore,
  { pointer, objectKey, contentId }: KeyedInput,
  atHand: Buffer | undefined,
): Promise<Buffer> {
  const bytes = atHand ?? (await buffer(await store.get(objectKey)))
  const digest = createHash('sha256').update(bytes).digest('hex')
  if (contentId !== `sha256:${digest}`) throw new InputDamaged(pointer)
  return bytes
}

function roadOf({ id, manifest }: Base): BuildRoad {
  return objectsOf(manifest).includes(baseKey.layout(id)) ? 'compose' : 'build'
}

function describe(
  { id, buildId }: Base,
  equal: Build | undefined,
  userDataBytes: number | undefined,
  road: BuildRoad | undefined,
): string[] {
  const what =
    userDataBytes === undefined ? 'The ISO is' : `${userDataBytes} bytes of user-data are stamped into`
  if (equal !== undefined)
    return [`The same ISO was made before, by the build ${equal.id}; Earthly does not run.`]
  if (road !== undefined) return [`${what} the base ${id}.`]
  return [`${what} the base ${id}, which the build ${buildId} left; Earthly does not run.`]
}
