import { AuditRecord } from '@edgesmith/contract/audit'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Value } from 'typebox/value'
import { BrokenChain, readChain, readSegment } from './chain.ts'
import { recordsIn } from './records.ts'

/** What a chain has, which is as it was written. */
export type ChainReport = {
  readonly links: number
  readonly records: number
  /** SHA-256 of the last link. Kept elsewhere, it shows later that nothing before it was altered or removed. */
  readonly head: string | undefined
}

/**
 * Reads all of a tenant's chain.
 * @param expectedHead SHA-256 of a link that there was, as it was told before
 * @throws BrokenChain
 */
export async function verifyChain(
  store: ObjectStore,
  tenant: string,
  expectedHead?: string,
): Promise<ChainReport> {
  let [links, records] = [0, 0]
  let head: string | undefined
  let isExpectedMet = expectedHead === undefined
  const seen = new Set<string>()
  for await (const { link, digest } of readChain(store, tenant)) {
    const stored = recordsIn(await readSegment(store, link))
    if (stored.length !== link.records)
      throw new BrokenChain(`${link.segment} has another number of records.`)
    for (const { id, line } of stored) {
      if (!Value.Check(AuditRecord, JSON.parse(line)))
        throw new BrokenChain(`${link.segment} has no record ${id}.`)
      if (seen.has(id)) throw new BrokenChain(`The record ${id} is in the chain twice.`)
      seen.add(id)
    }
    links += 1
    records += stored.length
    head = digest
    if (digest === expectedHead) isExpectedMet = true
  }
  if (!isExpectedMet)
    throw new BrokenChain(`The chain has no link ${expectedHead ?? ''}: it was cut off or replaced.`)
  return { links, records, head }
}
