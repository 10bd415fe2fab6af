import { createHash } from 'node:crypto'
import { layoutInputs } from '@edgesmith/canvos/workspace'
import type { Build, ResolvedImage } from '@edgesmith/contract/build'
import type { StoredInput } from '@edgesmith/contract/validation'
import { canonicalJson } from './canonical-json.ts'

/** Raised when a change of this service changes the bytes of an ISO, so that no older base is used for it. */
const version = 1

/** What identity needs to know of an input. */
export type KeyedInput = Pick<
  StoredInput,
  'role' | 'pointer' | 'contentId' | 'kind' | 'size' | 'fileName' | 'objectKey'
>

/** All that decides the bytes of an ISO, but for the images that its references stand for and the engine. */
export type Recipe = Pick<Build, 'target' | 'canvos' | 'arguments'> & {
  /** Every input of the build's spec, in the order of `listInputs`. */
  readonly inputs: readonly KeyedInput[]
  /** Versions of the secrets that Earthly is handed, by the names that the Earthfile has for them. */
  readonly secrets?: Readonly<Record<string, string>> | undefined
}

/** What makes ISOs of recipes: the engine, and the room that it leaves for user-data. */
export type Maker = {
  /** Identity of the build engine's images. */
  readonly engine: string
  /** Bytes that a base reserves for user-data. */
  readonly userDataReserveBytes: number
}

/**
 * How the user-data of a recipe lies in its base: `none`, in a `slot` of that many bytes, or `fixed`, for
 * good: when it is larger than the reserve, or its place in the image cannot be told.
 */
export type UserDataLayer =
  | { readonly kind: 'none' }
  | { readonly kind: 'slot'; readonly capacity: number }
  | { readonly kind: 'fixed'; readonly digest: string }

/** The identities of a recipe, from the coarsest to the finest. */
export type RecipeKeys = {
  /** Of the root file system and all that was built with it. */
  readonly root: string
  /** Of the image without the user-data's own bytes. */
  readonly layers: string
  /** Of the image with this user-data in place for good; the same as `layers` where it has no slot. */
  readonly fixedLayers: string
}

/** Roles whose files go into the root file system, or into the ISO along with it. */
const rootRoles: readonly string[] = ['cert', 'localUi', 'overlay', 'secureBoot']

/** Arguments that name a file beside the root file system, or the ISO itself. */
const layerArguments: readonly string[] = ['CLUSTERCONFIG', 'EDGE_CUSTOM_CONFIG', 'ISO_NAME']

/**
 * Whether ISOs of a recipe can be made from others: provider images go to a registry, and a Trusted Boot
 * image is signed over its contents.
 */
export function isLayered({
  target,
  arguments: buildArguments,
}: Pick<Recipe, 'target' | 'arguments'>): boolean {
  return target === 'iso' && buildArguments['IS_UKI'] !== 'true'
}

/** How the user-data of a recipe lies in a base that this maker makes. */
export function userDataLayer(recipe: Recipe, { userDataReserveBytes: capacity }: Maker): UserDataLayer {
  const input = userDataOf(recipe)
  if (input === undefined) return { kind: 'none' }
  if (input.size > capacity) return { kind: 'fixed', digest: input.contentId }
  return { kind: 'slot', capacity }
}

/** The user-data of a recipe, where it has one. */
export function userDataOf({ inputs }: Recipe): KeyedInput | undefined {
  return inputs.find(({ role }) => role === 'userData')
}

/** The identities of a recipe. */
export function recipeKeys(recipe: Recipe, maker: Maker): RecipeKeys {
  const root = rootKey(recipe, maker)
  const layer = userDataLayer(recipe, maker)
  const userData = userDataOf(recipe)
  const fixed: UserDataLayer =
    userData === undefined ? { kind: 'none' } : { kind: 'fixed', digest: userData.contentId }
  return {
    root,
    layers: layersKey(recipe, root, layer),
    fixedLayers: layersKey(recipe, root, fixed),
  }
}

/**
 * Identity of a root file system: what CanvOS's `Earthfile` puts into it. What `+build-iso` lays beside it,
 * user-data, content bundles, cluster definition and edge custom configuration, has no part in it.
 */
export function rootKey(recipe: Recipe, { engine }: Maker): string {
  const { canvos, target, arguments: buildArguments, secrets = {} } = recipe
  return hashOf({
    version,
    commit: canvos.commit,
    target,
    arguments: Object.fromEntries(
      Object.entries(buildArguments).filter(([name]) => !layerArguments.includes(name)),
    ),
    inputs: laidInputs(recipe, rootRoles),
    engine,
    ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
  })
}

/** Identity of an image but for its user-data's own bytes. */
function layersKey(recipe: Recipe, root: string, userData: UserDataLayer): string {
  return hashOf({
    root,
    userData,
    bundles: laidInputs(recipe, ['contentBundle']),
    definition: recipe.inputs.find(({ role }) => role === 'clusterDefinition')?.contentId,
    customConfig: laidInputs(recipe, ['edgeCustomConfig', 'publicKey']),
  })
}

/** Identity of an ISO: everything that changes its bytes or its name. */
export function buildKey(keys: RecipeKeys, recipe: Recipe, images: readonly ResolvedImage[]): string {
  return hashOf({
    layers: keys.layers,
    userData: userDataOf(recipe)?.contentId,
    isoName: recipe.arguments['ISO_NAME'],
    images: [...images].sort((a, b) => (a.reference < b.reference ? -1 : 1)),
  })
}

/** The inputs of these roles with the names that they are laid under, in the order of the spec. */
function laidInputs({ canvos, inputs, arguments: buildArguments }: Recipe, roles: readonly string[]) {
  const { files } = layoutInputs({ tag: canvos.tag, inputs, arguments: buildArguments })
  return inputs
    .filter(({ role }) => roles.includes(role))
    .map((input) => ({
      role: input.role,
      kind: input.kind,
      name: files.find(({ source }) => source === input)?.path,
      digest: input.contentId,
    }))
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}
