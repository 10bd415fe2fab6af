import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { stamp } from '@edgesmith/stamp/stamp'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { fleetObject, type FleetRecord, type SiteRecord } from './fleet-record.ts'

/** Bytes of the length that is before each user-data. */
const lengthSize = 8

/** A site's user-data with what lies before it, as a stamp stores them. */
function packed(userData: Buffer): Buffer {
  return stamp({ offset: 0, capacity: Math.max(1, userData.length), lengthFields: [0] }, userData).bytes
}

/** Writes the pack of a fleet: the user-data of its sites, in their order. */
export async function writePack(
  store: ObjectStore,
  fleetId: string,
  userData: Iterable<Buffer>,
): Promise<void> {
  function* bytes(): Generator<Buffer> {
    for (const one of userData) yield packed(one)
  }
  await store.put(fleetObject.pack(fleetId), Readable.from(bytes(), { objectMode: false }))
}

/** A site and where its bytes begin in the pack. */
export type PackedSite = { readonly site: SiteRecord; readonly offset: number }

/** Where each site's bytes are in the pack. */
export function* packedSites({ sites }: FleetRecord): Generator<PackedSite> {
  let offset = 0
  for (const site of sites) {
    yield { site, offset }
    offset += lengthSize + site.userData.size
  }
}

/**
 * Reads the pack from its beginning to its end, and gives the user-data of each site.
 * @throws Error when it does not hold what the record says; NoSuchObject
 */
export async function* readPack(
  store: ObjectStore,
  fleet: FleetRecord,
): AsyncGenerator<PackedSite & { readonly userData: Buffer }> {
  const reader = new ChunkReader((await store.get(fleetObject.pack(fleet.id))) as AsyncIterable<Buffer>)
  try {
    for (const packedSite of packedSites(fleet)) {
      const bytes = await reader.take(lengthSize + packedSite.site.userData.size)
      yield { ...packedSite, userData: checked(packedSite.site, bytes) }
    }
  } finally {
    await reader.close()
  }
}

/** The user-data of one site. @throws Error when the pack does not hold what the record says; NoSuchObject */
export async function readUserData(store: ObjectStore, fleet: FleetRecord, buildId: string): Promise<Buffer> {
  for (const { site, offset } of packedSites(fleet)) {
    if (site.buildId !== buildId) continue
    const length = lengthSize + site.userData.size
    return checked(site, await buffer(await store.get(fleetObject.pack(fleet.id), { offset, length })))
  }
  throw new Error(`The fleet ${fleet.id} has no build ${buildId}.`)
}

function checked({ name, userData: expected }: SiteRecord, bytes: Buffer): Buffer {
  const userData = bytes.subarray(lengthSize)
  const isIntact =
    createHash('sha256').update(userData).digest('hex') === expected.sha256 && packed(userData).equals(bytes)
  if (!isIntact) throw new Error(`The pack does not hold the user-data of the site ${name}.`)
  return userData
}

/** Cuts a stream into pieces of given sizes. */
class ChunkReader {
  readonly #iterator: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  async take(size: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    let missing = size
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#iterator.next()
        if (next.done === true) throw new Error(`The stream ends ${missing} bytes early.`)
        this.#rest = next.value
      }
      const piece = this.#rest.subarray(0, missing)
      this.#rest = this.#rest.subarray(piece.length)
      pieces.push(piece)
      missing -= piece.length
    }
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
  }

  async close(): Promise<void> {
    await this.#iterator.return?.()
  }
}
