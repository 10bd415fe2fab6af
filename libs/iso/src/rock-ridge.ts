import { IsoError } from './fault.ts'
import { readExactly } from './random-access.ts'
import type { RandomAccess } from './random-access.ts'
import { readBothEndian32 } from './volume.ts'
import type { Volume } from './volume.ts'

/** What the system use field of a directory record adds to it (SUSP 1.12, Rock Ridge 1.12). */
export type RockRidge = {
  name?: string
  /** POSIX `st_mode`. */
  mode?: number
  symlinkTarget?: string
  /** Block of the directory that stands elsewhere because it lies too deep (CL). */
  relocatedBlock?: number
  /** True for the record of such a directory in the place it was moved to (RE). */
  relocated: boolean
}

type SystemUseEntry = { signature: string; data: Buffer }

/** A chain of continuation areas longer than this is a loop. */
const maxContinuations = 64

/**
 * The bytes that precede the system use entries in every record, told by the SP entry of the root's
 * own record; undefined when the tree has no such entries.
 */
export function findSystemUseSkip(systemUse: Buffer): number | undefined {
  for (const start of [0, 14]) {
    if (systemUse.length >= start + 7 && systemUse.toString('latin1', start, start + 2) === 'SP') {
      if (systemUse.readUInt16BE(start + 4) === 0xbeef) return systemUse.readUInt8(start + 6)
    }
  }
  return undefined
}

/** Reads the Rock Ridge entries of one directory record, following its continuation areas. */
export async function readRockRidge(
  reader: RandomAccess,
  volume: Volume,
  systemUse: Buffer,
  skip: number,
): Promise<RockRidge> {
  const found: RockRidge = { relocated: false }
  const names: Buffer[] = []
  const links: Buffer[] = []
  let area: Buffer | undefined = systemUse.subarray(skip)
  for (let hops = 0; area !== undefined; hops++) {
    if (hops > maxContinuations) throw new IsoError('invalid-directory', 'Continuation areas form a loop.')
    let next: Promise<Buffer> | undefined
    for (const { signature, data } of splitEntries(area)) {
      if (signature === 'NM' && (data.readUInt8(0) & 0x06) === 0) names.push(data.subarray(1))
      else if (signature === 'PX') found.mode = readBothEndian32(data, 0, 'a file mode')
      else if (signature === 'SL') links.push(data.subarray(1))
      else if (signature === 'CL') found.relocatedBlock = readBothEndian32(data, 0, 'a child link')
      else if (signature === 'RE') found.relocated = true
      else if (signature === 'CE') next = readContinuation(reader, volume, data)
    }
    area = await next
  }
  if (names.length > 0) found.name = Buffer.concat(names).toString('utf8')
  if (links.length > 0) found.symlinkTarget = parseLink(Buffer.concat(links))
  return found
}

const minimumData: Readonly<Record<string, number>> = { NM: 1, PX: 8, SL: 1, CL: 8, CE: 24 }

function* splitEntries(area: Buffer): Generator<SystemUseEntry> {
  let position = 0
  while (position + 4 <= area.length) {
    const signature = area.toString('latin1', position, position + 2)
    const length = area.readUInt8(position + 2)
    if (signature === 'ST' || signature === '\0\0') return
    if (length < 4 + (minimumData[signature] ?? 0) || position + length > area.length) {
      throw new IsoError('invalid-directory', 'A directory record has a malformed system use entry.')
    }
    yield { signature, data: area.subarray(position + 4, position + length) }
    position += length
  }
}

function readContinuation(reader: RandomAccess, volume: Volume, data: Buffer): Promise<Buffer> {
  const block = readBothEndian32(data, 0, 'a continuation area')
  const offset = readBothEndian32(data, 8, 'a continuation area')
  const length = readBothEndian32(data, 16, 'a continuation area')
  if (length > volume.blockSize) throw new IsoError('invalid-directory', 'A continuation area is too long.')
  return readExactly(reader, volume.base + block * volume.blockSize + offset, length, 'a continuation area')
}

/** Component flags of SL (Rock Ridge 1.12, 4.1.3.1). */
const componentFlag = { continues: 0x01, current: 0x02, parent: 0x04, root: 0x08 } as const

function parseLink(components: Buffer): string {
  const parts: string[] = []
  let partial = ''
  let position = 0
  while (position + 2 <= components.length) {
    const flags = components.readUInt8(position)
    const end = position + 2 + components.readUInt8(position + 1)
    partial += components.toString('utf8', position + 2, end)
    position = end
    if (flags & componentFlag.continues) continue
    if (flags & componentFlag.root) partial = ''
    else if (flags & componentFlag.current) partial = '.'
    else if (flags & componentFlag.parent) partial = '..'
    parts.push(partial)
    partial = ''
  }
  return parts.length === 1 && parts[0] === '' ? '/' : parts.join('/')
}
