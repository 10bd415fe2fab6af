import type { ObjectStore } from '@edgesmith/store/object-store'
import { auditPrefix, dayOf } from './audit-log.ts'
import {
  linkKey,
  noPrevious,
  readChain,
  readObject,
  readSegment,
  sha256Of,
  type ChainedLink,
} from './chain.ts'
import { looseRecords, recordsIn } from './records.ts'

/** Records that one link has at the most: some ten megabytes. */
const maximumRecords = 20_000

/** How long records stay objects of their own, in milliseconds: clocks of services may differ by hours. */
const looseMs = 2 * 86_400_000

/**
 * Puts a tenant's records of days before yesterday into the chain, and then removes the objects that they were. Of
 * several that do so at once each link is written by one; one that dies leaves nothing to be put right. Answers how
 * many records were put into the chain.
 * @throws BrokenChain: nothing is added to a chain that was altered
 */
export async function compactRecords(store: ObjectStore, tenant: string, now = new Date()): Promise<number> {
  const days = await oldDays(store, tenant, now)
  if (days.length === 0) return 0
  const links = await Array.fromAsync(readChain(store, tenant))
  let compacted = 0
  for (const day of days) compacted += await compactDay(store, { tenant, day, links })
  return compacted
}

async function compactDay(
  store: ObjectStore,
  { tenant, day, links }: { tenant: string; day: string; links: ChainedLink[] },
): Promise<number> {
  const known = new Set<string>()
  for (const { link } of links) {
    if (link.day !== day) continue
    for (const { id } of recordsIn(await readSegment(store, link))) known.add(id)
  }
  const loose = await Array.fromAsync(looseRecords(store, tenant, day))
  for (const { id, key } of loose) if (known.has(id)) await store.remove(key)
  const fresh = loose.filter(({ id }) => !known.has(id))
  let compacted = 0
  for (let start = 0; start < fresh.length; start += maximumRecords) {
    const some = fresh.slice(start, start + maximumRecords)
    const lines: Buffer[] = []
    for (const { key } of some) {
      const line = await readObject(store, key)
      // Another one has put the day into the chain meanwhile.
      if (line === undefined) return compacted
      lines.push(line)
    }
    if (!(await addLink(store, { tenant, day, links, lines }))) return compacted
    for (const { key } of some) await store.remove(key)
    compacted += some.length
  }
  return compacted
}

/** Adds a link; false when another one has added that of its number. */
async function addLink(
  store: ObjectStore,
  {
    tenant,
    day,
    links,
    lines,
  }: { tenant: string; day: string; links: ChainedLink[]; lines: readonly Buffer[] },
): Promise<boolean> {
  const bytes = Buffer.concat(lines)
  const sha256 = sha256Of(bytes)
  const segment = `${auditPrefix(tenant)}segments/${day}-${sha256.slice(0, 16)}.ndjson`
  await store.put(segment, bytes, { contentType: 'application/x-ndjson' })
  const previous = links.at(-1)
  const link = {
    ...{ sequence: (previous?.link.sequence ?? 0) + 1, day, segment, sha256, records: lines.length },
    previous: previous?.digest ?? noPrevious,
  }
  const stored = Buffer.from(`${JSON.stringify(link)}\n`)
  if (!(await store.putIfAbsent(linkKey(tenant, link.sequence), stored))) return false
  links.push({ link, digest: sha256Of(stored) })
  return true
}

/** The days before yesterday of which there are records outside of the chain. */
async function oldDays(store: ObjectStore, tenant: string, now: Date): Promise<string[]> {
  const before = dayOf(new Date(now.getTime() - looseMs + 86_400_000))
  const days = new Set<string>()
  for await (const { key } of store.list(auditPrefix(tenant))) {
    const [year, month, day] = key.slice(auditPrefix(tenant).length).split('/')
    const name = [year, month, day].join('-')
    if (/^\d{4}-\d{2}-\d{2}$/.test(name) && name < before) days.add(name)
  }
  return [...days].sort()
}

/** The tenants that have records, `nobody` among them. */
export async function auditedTenants(store: ObjectStore): Promise<string[]> {
  const tenants = new Set<string>()
  for await (const { key } of store.list('audit/')) {
    const [, tenant] = key.split('/')
    if (tenant !== undefined) tenants.add(tenant)
  }
  return [...tenants]
}
