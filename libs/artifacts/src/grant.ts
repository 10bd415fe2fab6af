import type { DownloadUrlId } from '@edgesmith/contract/artifact'
import { ArtifactId, Timestamp } from '@edgesmith/contract/identifiers'
import { readJson, writeJson, writeJsonIfAbsent } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type, type Static } from 'typebox'
import { v7 as uuidv7 } from 'uuid'

/** The record of a signed URL. Its other objects are marks: `revoked`, and `use-<n>` for each download. */
const Grant = Type.Object(
  { artifactId: ArtifactId, expiresAt: Timestamp, createdAt: Timestamp },
  { additionalProperties: false },
)

/** Whether a signed URL may be used still. */
export type GrantState = 'live' | 'revoked' | 'used-up'

/** How long marks are kept after their URL expired, in milliseconds: clocks of hosts differ. */
const graceMs = 3_600_000

/** Age at which marks without a record are removed, in milliseconds: above the longest life of a URL. */
const orphanMs = 8 * 86_400_000

/** Records a signed URL, so that it can be revoked, and its marks be removed once it has expired. */
export async function createGrant(
  store: ObjectStore,
  { artifactId, expiresAt }: { artifactId: ArtifactId; expiresAt: Date },
): Promise<DownloadUrlId> {
  const id = uuidv7()
  await writeJson(store, recordKey(id), {
    artifactId,
    expiresAt: expiresAt.toISOString(),
    createdAt: new Date().toISOString(),
  } satisfies Static<typeof Grant>)
  return id
}

/** Takes back the record of a URL that nobody was given. */
export async function removeGrant(store: ObjectStore, id: DownloadUrlId): Promise<void> {
  await store.remove(recordKey(id))
}

/** Revokes a signed URL; false when the artifact has none of that id. Once more does no harm. */
export async function revokeGrant(
  store: ObjectStore,
  artifactId: ArtifactId,
  id: DownloadUrlId,
): Promise<boolean> {
  const grant = await readJson(store, recordKey(id), Grant)
  if (grant?.artifactId !== artifactId) return false
  await writeJsonIfAbsent(store, revokedKey(id), { revokedAt: new Date().toISOString() })
  return true
}

/** The state of a signed URL; `limit` is the number of its downloads, undefined without a limit. */
export async function grantState(
  store: ObjectStore,
  id: DownloadUrlId,
  limit: number | undefined,
): Promise<GrantState> {
  const [revoked, uses] = await Promise.all([
    store.stat(revokedKey(id)),
    limit === undefined ? undefined : countUses(store, id),
  ])
  if (revoked !== undefined) return 'revoked'
  return limit !== undefined && uses !== undefined && uses >= limit ? 'used-up' : 'live'
}

/**
 * Takes one of the `limit` downloads of a URL; false when none is left. Of any number of callers, in any
 * processes, at most `limit` ever get true: each is the one that made the mark `use-<n>`.
 */
export async function claimUse(store: ObjectStore, id: DownloadUrlId, limit: number): Promise<boolean> {
  // Marks are made in order without gaps, so the number of marks is that of the last one.
  for (let n = (await countUses(store, id)) + 1; n <= limit; n++) {
    if (await writeJsonIfAbsent(store, useKey(id, n), { usedAt: new Date().toISOString() })) return true
  }
  return false
}

async function countUses(store: ObjectStore, id: DownloadUrlId): Promise<number> {
  let count = 0
  for await (const _mark of store.list(`grants/${id}/use-`)) count++
  return count
}

/** Removes what is kept of URLs that have expired, and answers of how many. Can be interrupted. */
export async function sweepExpiredGrants(store: ObjectStore, now: Date): Promise<number> {
  let swept = 0
  let group: { id: string; keys: string[]; modifiedAt: Date } | undefined
  const sweepGroup = async () => {
    if (group !== undefined && (await hasExpired(store, group, now))) {
      // The record is last: while there are marks there is one.
      for (const key of group.keys.filter((key) => key !== recordKey(group?.id ?? '')))
        await store.remove(key)
      await store.remove(recordKey(group.id))
      swept++
    }
  }
  for await (const { key, modifiedAt } of store.list('grants/')) {
    const id = key.split('/')[1] ?? ''
    if (group?.id !== id) {
      await sweepGroup()
      group = { id, keys: [], modifiedAt }
    }
    group.keys.push(key)
    if (modifiedAt > group.modifiedAt) group.modifiedAt = modifiedAt
  }
  await sweepGroup()
  return swept
}

async function hasExpired(
  store: ObjectStore,
  { id, modifiedAt }: { id: string; modifiedAt: Date },
  now: Date,
): Promise<boolean> {
  const grant = await readJson(store, recordKey(id), Grant)
  if (grant === undefined) return now.getTime() - modifiedAt.getTime() > orphanMs
  return now.getTime() - Date.parse(grant.expiresAt) > graceMs
}

function recordKey(id: string): string {
  return `grants/${id}/grant.json`
}

function revokedKey(id: string): string {
  return `grants/${id}/revoked`
}

function useKey(id: string, n: number): string {
  return `grants/${id}/use-${n}`
}
