import { ProblemError } from '@edgesmith/contract/problem'
import { RetentionPolicies } from '@edgesmith/contract/retention'
import { readJson, writeJsonIfAbsent } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'

const prefix = 'retention/policies/'

/** How many versions are kept: a writer that is this far behind could not be told from one that is not. */
const keptVersions = 20

/** The policies and the strong entity tag of this version of them, in its quotes. */
export type StoredPolicies = { readonly policies: RetentionPolicies; readonly etag: string }

/** The policies as they are now; none until some were written. */
export async function readPolicies(store: ObjectStore): Promise<StoredPolicies> {
  for (;;) {
    const version = (await listVersions(store)).at(-1)
    if (version === undefined) return { policies: { policies: [] }, etag: etagOf(0) }
    const policies = await readJson(store, keyOf(version), RetentionPolicies)
    if (policies !== undefined) return { policies, etag: etagOf(version) }
  }
}

/**
 * Replaces the policies that have the entity tag. Each version is an object of its own, which only one of
 * several writers can make.
 * @throws ProblemError `policies-changed` when they have another one now
 */
export async function writePolicies(
  store: ObjectStore,
  policies: RetentionPolicies,
  etag: string,
): Promise<StoredPolicies> {
  const versions = await listVersions(store)
  const latest = versions.at(-1) ?? 0
  if (etag !== etagOf(latest) || !(await writeJsonIfAbsent(store, keyOf(latest + 1), policies))) {
    throw new ProblemError(
      'policies-changed',
      'The policies were changed by another request. Read them again, and repeat your change on what they are now.',
    )
  }
  for (const version of versions) if (version <= latest + 1 - keptVersions) await store.remove(keyOf(version))
  return { policies, etag: etagOf(latest + 1) }
}

/** The numbers of the versions, the oldest first. */
async function listVersions(store: ObjectStore): Promise<number[]> {
  const entries = await Array.fromAsync(store.list(prefix))
  return entries.map(({ key }) => Number(key.slice(prefix.length, -'.json'.length)))
}

function keyOf(version: number): string {
  return `${prefix}${String(version).padStart(10, '0')}.json`
}

function etagOf(version: number): string {
  return `"${version}"`
}
