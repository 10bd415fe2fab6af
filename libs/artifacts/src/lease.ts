import { randomUUID } from 'node:crypto'
import { type ArtifactId, Timestamp } from '@edgesmith/contract/identifiers'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type } from 'typebox'

/** Says that a process reads the bytes of an artifact, so that they are not to be removed. */
const LeaseRecord = Type.Object({ until: Timestamp }, { additionalProperties: false })

/** How long a lease holds from when it was last renewed, in milliseconds. */
const leaseMs = 300_000
/** How often a lease is renewed, in milliseconds. */
const renewalMs = 60_000

/** The lease of an artifact that a process has, with the number of those who use it. */
type Lease = { key: string; users: number; written: Promise<void>; timer: NodeJS.Timeout }

/** The leases of this process. They are handles on objects of the store, not state: others see those. */
const held = new WeakMap<ObjectStore, Map<ArtifactId, Lease>>()

/**
 * Keeps an artifact from being removed until the answer is disposed of: by an object in the store that is
 * renewed, and expires when this process dies. A process has one for each artifact, however many use it.
 * @param onRenewalFailure told when the store cannot be written; the lease holds on for minutes
 */
export async function leaseArtifact(
  store: ObjectStore,
  id: ArtifactId,
  onRenewalFailure: (error: unknown) => void,
): Promise<AsyncDisposable> {
  let leases = held.get(store)
  if (leases === undefined) held.set(store, (leases = new Map<ArtifactId, Lease>()))
  let lease = leases.get(id)
  if (lease === undefined) leases.set(id, (lease = beginLease(store, id, onRenewalFailure)))
  lease.users++
  const using = lease
  let released = false
  const release = async () => {
    if (released) return
    released = true
    using.users--
    if (using.users > 0) return
    if (leases.get(id) === using) leases.delete(id)
    clearInterval(using.timer)
    await using.written
    await store.remove(using.key)
  }
  try {
    await lease.written
  } catch (error) {
    released = true
    lease.users--
    clearInterval(lease.timer)
    if (leases.get(id) === lease) leases.delete(id)
    throw error
  }
  return { [Symbol.asyncDispose]: release }
}

function beginLease(store: ObjectStore, id: ArtifactId, onRenewalFailure: (error: unknown) => void): Lease {
  const key = `${prefixOf(id)}${randomUUID()}.json`
  const write = () => writeJson(store, key, { until: new Date(Date.now() + leaseMs).toISOString() })
  const timer = setInterval(() => {
    // A renewal that ended after the lease was released would bring it back.
    lease.written = lease.written.then(write).catch(onRenewalFailure)
  }, renewalMs).unref()
  const lease: Lease = { key, users: 0, written: write(), timer }
  return lease
}

/** Whether any process reads the artifact. */
export async function isLeased(store: ObjectStore, id: ArtifactId, now: Date): Promise<boolean> {
  for await (const { key } of store.list(prefixOf(id))) {
    if (await isHeld(store, key, now)) return true
  }
  return false
}

/** Removes the leases of processes that died, and answers how many they were. */
export async function sweepExpiredLeases(store: ObjectStore, now: Date): Promise<number> {
  let swept = 0
  for await (const { key } of store.list('leases/')) {
    if (await isHeld(store, key, now)) continue
    await store.remove(key)
    swept++
  }
  return swept
}

async function isHeld(store: ObjectStore, key: string, now: Date): Promise<boolean> {
  const lease = await readJson(store, key, LeaseRecord)
  return lease !== undefined && Date.parse(lease.until) > now.getTime()
}

function prefixOf(id: ArtifactId): string {
  return `leases/${id}/`
}

/**
 * Does something that needs the bytes of an artifact for long, under a lease. It is to read the artifact's
 * record itself, for the record may have been removed before the lease was there. The signal aborts when the
 * lease cannot be renewed.
 */
export async function underLease<Result>(
  store: ObjectStore,
  id: ArtifactId,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const failed = new AbortController()
  await using _lease = await leaseArtifact(store, id, (error) => {
    failed.abort(error)
  })
  return await work(failed.signal)
}
