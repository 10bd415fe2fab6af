import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { auditPrefix } from './audit-log.ts'

const digest = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** A link of the chain: records of a day, in one object, and the link before. */
export const Link = Type.Object(
  {
    sequence: Type.Integer({ minimum: 1 }),
    day: Type.String({ format: 'date' }),
    /** Key of the object with the records, one a line, and its SHA-256. */
    segment: Type.String(),
    sha256: digest,
    records: Type.Integer({ minimum: 1 }),
    /** SHA-256 of the link before, as it is stored; of the first one zeros. */
    previous: digest,
  },
  { additionalProperties: false },
)

export type Link = Static<typeof Link>

/** A link with the SHA-256 of how it is stored. */
export type ChainedLink = { readonly link: Link; readonly digest: string }

/** What the first link says of the one before. */
export const noPrevious = '0'.repeat(64)

/** The chain is not as it was written; the message says where. */
export class BrokenChain extends Error {
  override name = 'BrokenChain'
}

export function linkKey(tenant: string, sequence: number): string {
  return `${auditPrefix(tenant)}chain/${String(sequence).padStart(10, '0')}.json`
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/**
 * The links of a tenant's chain, the oldest first, each compared with the one before.
 * @throws BrokenChain
 */
export async function* readChain(store: ObjectStore, tenant: string): AsyncGenerator<ChainedLink> {
  let previous = noPrevious
  for (let sequence = 1; ; sequence += 1) {
    const key = linkKey(tenant, sequence)
    const bytes = await readObject(store, key)
    if (bytes === undefined) return
    const link = parse(bytes)
    if (link?.sequence !== sequence) throw new BrokenChain(`${key} is no link of the chain.`)
    if (link.previous !== previous) {
      throw new BrokenChain(`${key} does not follow the link before: one of the two was altered.`)
    }
    previous = sha256Of(bytes)
    yield { link, digest: previous }
  }
}

/** The records of a link, as they are stored. @throws BrokenChain when they are others, or gone */
export async function readSegment(store: ObjectStore, { segment, sha256 }: Link): Promise<Buffer> {
  const bytes = await readObject(store, segment)
  if (bytes === undefined) throw new BrokenChain(`${segment} is gone.`)
  if (sha256Of(bytes) !== sha256) throw new BrokenChain(`${segment} was altered.`)
  return bytes
}

export async function readObject(store: ObjectStore, key: string): Promise<Buffer | undefined> {
  try {
    return await buffer(await store.get(key))
  } catch (error) {
    if (error instanceof NoSuchObject) return undefined
    throw error
  }
}

function parse(bytes: Buffer): Link | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return Value.Check(Link, value) ? value : undefined
  } catch {
    return undefined
  }
}
