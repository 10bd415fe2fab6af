import { objectsOf } from '@edgesmith/manifest/manifest'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { DamagedObject, ObjectStore } from '@edgesmith/store/object-store'
import { Type } from 'typebox'
import { validate as isUuid } from 'uuid'
import { Base } from './base.ts'

const LayersEntry = Type.Object({ baseId: Base.properties.id }, { additionalProperties: false })

/** Keys of what belongs to a base. */
export const baseKey = {
  /** Bytes of an ISO that Earthly built. */
  data: (id: string) => `bases/${id}/data`,
  /** What a composed image does not have from other objects. */
  layout: (id: string) => `bases/${id}/layout`,
  record: (id: string) => `bases/${id}/base.json`,
  /** There while the base is being removed: nothing may refer to it any more. */
  condemned: (id: string) => `bases/${id}/condemned`,
  /** Its time of modification tells when the base was used last, by retention or by a build. */
  used: (id: string) => `bases/${id}/used`,
  byLayers: (layersKey: string) => `bases/by-layers/${layersKey}.json`,
  byRoot: (rootKey: string, id: string) => `bases/by-root/${rootKey}/${id}.json`,
} as const

/**
 * Records a base whose bytes are in the store, and puts it where it is found. Of several with the same
 * layers the last one is: it was made because the ones before were not to be used.
 */
export async function recordBase(store: ObjectStore, base: Base): Promise<void> {
  await writeBaseRecord(store, base)
  await publishBase(store, base)
}

/**
 * Records a base whose bytes are in the store, without putting it where it is found: what it refers to is kept
 * from now on, and nobody makes anything of it yet.
 */
export async function writeBaseRecord(store: ObjectStore, base: Base): Promise<void> {
  await writeJson(store, baseKey.record(base.id), base)
}

/** Puts a recorded base where it is found; from now on others may refer to it, however this ends. */
export async function publishBase(store: ObjectStore, base: Base): Promise<void> {
  const entry = { baseId: base.id }
  await writeJson(store, baseKey.byRoot(base.rootKey, base.id), entry)
  await writeJson(store, baseKey.byLayers(base.layersKey), entry)
}

/** The base of an id, unless it is being removed. */
export async function readBase(store: ObjectStore, id: string): Promise<Base | undefined> {
  const [base, condemned] = await Promise.all([
    readJson(store, baseKey.record(id), Base),
    isMarked(store, id),
  ])
  return condemned ? undefined : base
}

/** The base with these layers, if there is one. */
export async function findBase(store: ObjectStore, layersKey: string): Promise<Base | undefined> {
  const entry = await readJson(store, baseKey.byLayers(layersKey), LayersEntry)
  return entry === undefined ? undefined : readBase(store, entry.baseId)
}

/** The bases over this root file system, whatever lies on top of it, newest first. */
export async function* findRelatedBases(store: ObjectStore, rootKey: string): AsyncGenerator<Base> {
  const prefix = baseKey.byRoot(rootKey, '').slice(0, -'.json'.length)
  const ids: string[] = []
  for await (const { key } of store.list(prefix)) ids.push(key.slice(prefix.length, -'.json'.length))
  // UUIDs version 7 sort by time as text.
  for (const id of ids.filter(isUuid).reverse()) {
    const base = await readBase(store, id)
    if (base !== undefined) yield base
  }
}

/**
 * True while the base is being removed, and afterwards. Whoever has written something that refers to a base
 * asks this afterwards, and takes it back when the answer is true; whoever removes a base marks it first, and
 * looks for references then.
 */
export async function isCondemned(store: ObjectStore, id: string): Promise<boolean> {
  // In this order: the mark is removed after the record.
  return (await isMarked(store, id)) || (await store.stat(baseKey.record(id))) === undefined
}

async function isMarked(store: ObjectStore, id: string): Promise<boolean> {
  return (await store.stat(baseKey.condemned(id))) !== undefined
}

/** How old the last use of a base may be before another one is written down, in milliseconds. */
const useRenewalMs = 10 * 60_000

/** Writes down that a base is used now, unless that was done a few minutes ago. */
export async function renewBaseUse(store: ObjectStore, id: string): Promise<void> {
  const used = await store.stat(baseKey.used(id))
  if (used !== undefined && Date.now() - used.modifiedAt.getTime() < useRenewalMs) return
  await writeJson(store, baseKey.used(id), { usedAt: new Date().toISOString() })
}

/** Takes a base out of where it is found; its bytes stay while anything refers to them. */
export async function forgetBase(store: ObjectStore, { id, rootKey, layersKey }: Base): Promise<void> {
  await store.remove(baseKey.byRoot(rootKey, id))
  const entry = await readJson(store, baseKey.byLayers(layersKey), LayersEntry)
  if (entry?.baseId === id) await store.remove(baseKey.byLayers(layersKey))
}

/** Takes every base out of where it is found that is made of a damaged object; answers their ids. */
export async function forgetDamagedBases(store: ObjectStore, damage: DamagedObject): Promise<string[]> {
  const forgotten: string[] = []
  for await (const { key } of store.list('bases/by-root/')) {
    const base = await readBase(store, key.slice(key.lastIndexOf('/') + 1, -'.json'.length))
    if (base === undefined || !objectsOf(base.manifest).some((object) => damage.isOf(object))) continue
    await forgetBase(store, base)
    forgotten.push(base.id)
  }
  return forgotten
}
