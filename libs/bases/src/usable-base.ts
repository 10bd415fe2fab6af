import type { ObjectStore } from '@edgesmith/store/object-store'
import type { Base } from './base.ts'
import { findBase, findRelatedBases } from './base-store.ts'
import type { ImageDigests } from './image-digests.ts'
import type { RecipeKeys } from './keys.ts'

/** A base to make an ISO from, and what is to be told of it. */
export type UsableBase = { readonly base: Base; readonly warnings: readonly string[] }

type Parts = { readonly store: ObjectStore; readonly digests: ImageDigests }

/** The base that has all of a recipe but its user-data's own bytes, while its images are still the same. */
export async function findUsableBase(parts: Parts, keys: RecipeKeys): Promise<UsableBase | undefined> {
  for (const layersKey of new Set([keys.layers, keys.fixedLayers])) {
    const base = await findBase(parts.store, layersKey)
    const usable = base === undefined ? undefined : await unlessMoved(parts, base)
    if (usable !== undefined) return usable
  }
  return undefined
}

/** The newest base with the root file system of a recipe, while its images are still the same. */
export async function findUsableRoot(parts: Parts, keys: RecipeKeys): Promise<UsableBase | undefined> {
  for await (const base of findRelatedBases(parts.store, keys.root)) {
    const usable = await unlessMoved(parts, base)
    if (usable !== undefined) return usable
  }
  return undefined
}

async function unlessMoved({ digests }: Parts, base: Base): Promise<UsableBase | undefined> {
  const { moved, unknown } = await digests.judge(base.images)
  if (moved.length > 0) return undefined
  const warnings = unknown.map(
    (reference) =>
      `warning image.unknown: It cannot be told whether ${reference} is still the image of the base.`,
  )
  return { base, warnings }
}
