import { AuditRecord } from '@edgesmith/contract/audit'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Value } from 'typebox/value'
import { dayOf, dayPrefix, firstIdAt } from './audit-log.ts'
import { readChain, readObject, readSegment, type Link } from './chain.ts'

const dayMs = 86_400_000

/** Objects that are read at a time. */
const atOnce = 32

/** A record as it is stored. */
export type StoredRecord = { readonly id: string; readonly line: string }

export type RecordsWanted = {
  readonly tenant: string
  readonly from: Date
  readonly to: Date
  /** Only records behind this one. */
  readonly after?: string | undefined
}

/**
 * The records of a tenant in a time, the oldest first: those of old days from the chain, others one by one.
 * @throws BrokenChain
 */
export async function* readRecords(store: ObjectStore, wanted: RecordsWanted): AsyncGenerator<AuditRecord> {
  const { tenant, from, to, after = '' } = wanted
  // Identifiers tell the time: records of other times are not read at all.
  const [first, behind] = [firstIdAt(from.getTime()), firstIdAt(to.getTime() + 1)]
  const isWanted = (id: string) => id > after && id >= first && id < behind
  const links = new Map<string, Link[]>()
  for await (const { link } of readChain(store, tenant)) {
    links.set(link.day, [...(links.get(link.day) ?? []), link])
  }
  for (let at = Date.parse(dayOf(from)); at <= to.getTime(); at += dayMs) {
    const day = dayOf(new Date(at))
    for await (const { line } of readDay(store, { tenant, day, isWanted, links: links.get(day) ?? [] })) {
      yield Value.Parse(AuditRecord, JSON.parse(line))
    }
  }
}

type DayWanted = {
  readonly tenant: string
  readonly day: string
  readonly links: readonly Link[]
  readonly isWanted: (id: string) => boolean
}

async function* readDay(
  store: ObjectStore,
  { tenant, day, links, isWanted }: DayWanted,
): AsyncGenerator<StoredRecord> {
  const chained: StoredRecord[] = []
  for (const link of links) chained.push(...recordsIn(await readSegment(store, link)))
  const known = new Set(chained.map(({ id }) => id))
  const loose: { id: string; key: string }[] = []
  for await (const { id, key } of looseRecords(store, tenant, day)) {
    // Compaction has put it into the chain, and not come to remove it yet.
    if (!known.has(id)) loose.push({ id, key })
  }
  const all: (StoredRecord | { id: string; key: string })[] = [...chained, ...loose].filter(({ id }) =>
    isWanted(id),
  )
  all.sort((a, b) => (a.id < b.id ? -1 : 1))
  for (let start = 0; start < all.length; start += atOnce) {
    const some = all.slice(start, start + atOnce)
    const lines = await Promise.all(
      some.map(async (item) =>
        'line' in item ? item.line : (await readObject(store, item.key))?.toString(),
      ),
    )
    for (const [index, line] of lines.entries()) {
      const id = some[index]?.id
      if (line !== undefined && id !== undefined) yield { id, line: line.trimEnd() }
    }
  }
}

/** The records of a day that are objects of their own, in the order of their identifiers. */
export async function* looseRecords(
  store: ObjectStore,
  tenant: string,
  day: string,
): AsyncGenerator<{ id: string; key: string }> {
  const prefix = dayPrefix(tenant, day)
  for await (const { key } of store.list(prefix)) yield { key, id: key.slice(prefix.length, -'.json'.length) }
}

/** The records of a segment. */
export function recordsIn(segment: Buffer): StoredRecord[] {
  return segment
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ line, id: (JSON.parse(line) as { id: string }).id }))
}
