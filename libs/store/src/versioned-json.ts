import type { Static, TSchema } from 'typebox'
import { readJson, writeJsonIfAbsent } from './json-object.ts'
import type { ObjectStore } from './object-store.ts'

/**
 * How many versions of a value are kept: a writer that is this far behind could not be told from one that is
 * not.
 */
const keptVersions = 20

/** Version of a value that was never written. */
export const noVersion = 0

/** A value and which version of it this is, counted from 1. */
export type Versioned<T> = { readonly value: T; readonly version: number }

/**
 * Reads the newest version of a value whose versions are objects of their own below the prefix, undefined
 * where there is none. Throws when what is stored does not fit the schema.
 */
export async function readVersioned<Schema extends TSchema>(
  store: ObjectStore,
  prefix: string,
  schema: Schema,
): Promise<Versioned<Static<Schema>> | undefined> {
  for (;;) {
    const version = (await listVersions(store, prefix)).at(-1)
    if (version === undefined) return undefined
    const value = await readJson(store, keyOf(prefix, version), schema)
    // One that is gone has been superseded meanwhile, or removed.
    if (value !== undefined) return { value, version }
  }
}

/**
 * Writes the version after the one that was read, `noVersion` for the first. Of any number of writers exactly
 * one gets true; the others read again.
 */
export async function writeVersioned(
  store: ObjectStore,
  prefix: string,
  { value, version }: Versioned<unknown>,
): Promise<boolean> {
  const versions = await listVersions(store, prefix)
  const next = version + 1
  if ((versions.at(-1) ?? noVersion) !== version) return false
  if (!(await writeJsonIfAbsent(store, keyOf(prefix, next), value))) return false
  for (const old of versions) if (old <= next - keptVersions) await store.remove(keyOf(prefix, old))
  return true
}

/** The numbers of the versions, the oldest first. */
async function listVersions(store: ObjectStore, prefix: string): Promise<number[]> {
  const entries = await Array.fromAsync(store.list(prefix))
  return entries.map(({ key }) => Number(key.slice(prefix.length, -'.json'.length)))
}

function keyOf(prefix: string, version: number): string {
  return `${prefix}${String(version).padStart(10, '0')}.json`
}
