import type { Base } from '@edgesmith/bases/base'
import { userDataLayer, type Maker, type Recipe } from '@edgesmith/bases/keys'
import { userDataPath } from '@edgesmith/bases/variant'
import type { Mirror } from '@edgesmith/canvos/mirror'

/** Roles whose files `+build-iso` lays beside the root file system, at places of their own. */
export const layerRoles: readonly string[] = [
  'userData',
  'contentBundle',
  'clusterDefinition',
  'edgeCustomConfig',
  'publicKey',
]

/** JSON Pointers to inputs of those roles. */
const layerPointer = /^\/inputs\/(userData|contentBundles\/\d+|clusterDefinition|edgeCustomConfig|publicKey)$/

/** How CanvOS splits content bundles (`+build-iso` in its Earthfile): 3 GB, or as many bytes, and two digits. */
const splitCommand = /split --bytes=(3GB|3000000000) --numeric-suffixes/

/** Bytes of a part of a content bundle, but for the last. */
const partSize = 3_000_000_000

/** Paths of the ISO that CanvOS keeps for these inputs. */
const layerPath =
  /^\/(opt\/spectrocloud\/(content|clusterconfig)\/|files-iso\/config\.yaml$|\.edge_custom_config\.yaml$)/

/** What of a base's inputs lies on top of its root file system. */
export function isLayerPointer(pointer: string): boolean {
  return layerPointer.test(pointer)
}

/**
 * Whether the files of a recipe can be laid around a base's root file system: CanvOS has to split bundles in
 * the way that is known here, and the base must not have files of an overlay where they go.
 */
export async function canCompose(mirror: Mirror, { canvos, inputs }: Recipe, base: Base): Promise<boolean> {
  const overlaid = base.proof.filter(({ pointer }) => !isLayerPointer(pointer))
  if (overlaid.some(({ paths }) => paths.some((path) => layerPath.test(path)))) return false
  if (!inputs.some(({ role }) => role === 'contentBundle')) return true
  return splitCommand.test((await mirror.readFile(canvos.tag, 'Earthfile')) ?? '')
}

/** Paths of a base's files that another image over the same root file system does not have. */
export function layerPathsOf(base: Base): string[] {
  return [
    ...base.proof.filter(({ pointer }) => isLayerPointer(pointer)).flatMap(({ paths }) => paths),
    ...(base.userData === undefined ? [] : [userDataPath()]),
  ]
}

/** Bytes of the placeholder that a recipe's image can have; none where its user-data is laid itself. */
export function placeholderCapacity(recipe: Recipe, maker: Maker): number | undefined {
  const layer = userDataLayer(recipe, maker)
  return layer.kind === 'slot' ? layer.capacity : undefined
}

/** The parts that CanvOS splits a content bundle into: their paths, and where they begin and end. */
export function splitBundle(path: string, size: number): { path: string; offset: number; length: number }[] {
  return Array.from({ length: Math.max(1, Math.ceil(size / partSize)) }, (_, index) => ({
    path: `${path}_part${String(index).padStart(2, '0')}`,
    offset: index * partSize,
    length: Math.min(partSize, size - index * partSize),
  }))
}
