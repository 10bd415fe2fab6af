import type { AuditRecord } from '@edgesmith/contract/audit'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { v7 as uuidv7 } from 'uuid'

/** Stands in place of the tenant for requests that nobody is known to have made; no tenant is called so. */
export const nobody = '_'

/** Beginning of the keys of a tenant's records. */
export function auditPrefix(tenant: string): string {
  return `audit/${tenant}/`
}

/** Beginning of the keys of the records of a day, `2026-03-14`. */
export function dayPrefix(tenant: string, day: string): string {
  return `${auditPrefix(tenant)}${day.replaceAll('-', '/')}/`
}

/** The day of an instant, in UTC. */
export function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10)
}

/** The lowest identifier of records of a millisecond since 1970; none is older (RFC 9562, section 5.7). */
export function firstIdAt(msecs: number): string {
  return uuidv7({ msecs: Math.max(0, msecs), seq: 0, random: new Uint8Array(16) })
}

/** A record as it is written: one line of JSON. */
export function toLine(record: AuditRecord): string {
  return `${JSON.stringify(record)}\n`
}

/**
 * Writes a record down, once and for all: an object of its own, which is never written again.
 * @throws when the store cannot be written
 */
export async function appendRecord(
  store: ObjectStore,
  event: Omit<AuditRecord, 'id' | 'at'>,
  now = new Date(),
): Promise<AuditRecord> {
  const id = uuidv7({ msecs: now.getTime() })
  const record = { id, at: now.toISOString(), ...event }
  const key = `${dayPrefix(event.tenant ?? nobody, dayOf(now))}${id}.json`
  if (!(await store.putIfAbsent(key, Buffer.from(toLine(record))))) {
    throw new Error(`There is an audit record ${id} already.`)
  }
  return record
}
