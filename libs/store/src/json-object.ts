import { text } from 'node:stream/consumers'
import type { Static, TSchema } from 'typebox'
import { NoSuchObject } from './object-store.ts'
import type { ObjectStore } from './object-store.ts'
import { validatorOf } from './validator-of.ts'

const contentType = 'application/json'

function encode(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}

/** Stores a value as JSON, in place of any there before. */
export async function writeJson(store: ObjectStore, key: string, value: unknown): Promise<void> {
  await store.put(key, encode(value), { contentType })
}

/** Stores a value as JSON where the key has none yet; true when this call stored it. */
export async function writeJsonIfAbsent(store: ObjectStore, key: string, value: unknown): Promise<boolean> {
  return store.putIfAbsent(key, encode(value))
}

/** An object is not JSON, or does not fit its schema. */
export class DamagedJson extends Error {
  override name = 'DamagedJson'
}

/**
 * Reads a JSON object, undefined where there is none. Throws `DamagedJson` when what is stored is not JSON
 * or does not fit the schema.
 */
export async function readJson<Schema extends TSchema>(
  store: ObjectStore,
  key: string,
  schema: Schema,
): Promise<Static<Schema> | undefined> {
  let stored: string
  try {
    stored = await text(await store.get(key))
  } catch (error) {
    if (error instanceof NoSuchObject) return undefined
    throw error
  }
  try {
    return validatorOf(schema).Parse(JSON.parse(stored))
  } catch (error) {
    throw new DamagedJson(`The object ${key} does not hold what it should.`, { cause: error })
  }
}
