import { ProblemError } from '@edgesmith/contract/problem'
import { RetentionPolicies } from '@edgesmith/contract/retention'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { noVersion, readVersioned, writeVersioned } from '@edgesmith/store/versioned-json'

const prefix = 'retention/policies/'

/** The policies and the strong entity tag of this version of them, in its quotes. */
export type StoredPolicies = { readonly policies: RetentionPolicies; readonly etag: string }

/** The policies as they are now; none until some were written. */
export async function readPolicies(store: ObjectStore): Promise<StoredPolicies> {
  const found = await readVersioned(store, prefix, RetentionPolicies)
  if (found === undefined) return { policies: { policies: [] }, etag: etagOf(noVersion) }
  return { policies: found.value, etag: etagOf(found.version) }
}

/**
 * Replaces the policies that have the entity tag.
 * @throws ProblemError `policies-changed` when they have another one now
 */
export async function writePolicies(
  store: ObjectStore,
  policies: RetentionPolicies,
  etag: string,
): Promise<StoredPolicies> {
  const version = /^"(0|[1-9]\d{0,9})"$/.exec(etag)?.[1]
  if (
    version === undefined ||
    !(await writeVersioned(store, prefix, { value: policies, version: Number(version) }))
  ) {
    throw new ProblemError(
      'policies-changed',
      'The policies were changed by another request. Read them again, and repeat your change on what they are now.',
    )
  }
  return { policies, etag: etagOf(Number(version) + 1) }
}

function etagOf(version: number): string {
  return `"${version}"`
}
