import { crc32 } from 'node:zlib'
import { IsoError } from './fault.ts'
import { readExactly } from './random-access.ts'
import type { RandomAccess } from './random-access.ts'

/** Bytes in a block of the partition tables; CanvOS images have no other. */
const blockSize = 512

/** One partition, in bytes of the image. */
export type Partition = {
  table: 'mbr' | 'gpt'
  number: number
  /** MBR: the type byte as two hex digits. GPT: the type GUID. */
  type: string
  name: string
  offset: number
  length: number
}

/** A GPT header, in bytes of the image. */
export type GptHeader = {
  diskGuid: string
  offset: number
  /** Where the other header is: in the primary header the backup, in the backup the primary. */
  alternateOffset: number
  partitions: Partition[]
}

const noType = '00000000-0000-0000-0000-000000000000'

/** Reads the MBR's partitions; empty when there is no MBR. Entries of no length are left out. */
export async function readMbr(reader: RandomAccess): Promise<Partition[]> {
  const sector = await readExactly(reader, 0, blockSize, 'the master boot record')
  if (sector.readUInt16LE(510) !== 0xaa55) return []
  const partitions: Partition[] = []
  for (let index = 0; index < 4; index++) {
    const entry = sector.subarray(446 + index * 16, 462 + index * 16)
    const [start, blocks] = [entry.readUInt32LE(8), entry.readUInt32LE(12)]
    if (blocks === 0) continue
    partitions.push({
      table: 'mbr',
      number: index + 1,
      type: entry.toString('hex', 4, 5),
      name: '',
      offset: start * blockSize,
      length: blocks * blockSize,
    })
  }
  return partitions
}

/**
 * Reads the GUID partition table whose header is at `offset` (bytes; the primary is in block 1).
 * Undefined when there is none.
 * @throws IsoError `invalid-partition-table` when a checksum is wrong, `truncated`
 */
export async function readGpt(reader: RandomAccess, offset = blockSize): Promise<GptHeader | undefined> {
  const header = await reader.read(offset, blockSize)
  if (header.length < blockSize || header.toString('latin1', 0, 8) !== 'EFI PART') return undefined
  const which = offset === blockSize ? 'GPT' : 'backup GPT'
  const headerSize = header.readUInt32LE(12)
  if (headerSize < 92 || headerSize > blockSize) {
    throw new IsoError('invalid-partition-table', `The ${which} header has a size of ${headerSize} bytes.`)
  }
  const checked = Buffer.from(header.subarray(0, headerSize))
  checked.writeUInt32LE(0, 16)
  if (crc32(checked) !== header.readUInt32LE(16)) {
    throw new IsoError('invalid-partition-table', `The checksum of the ${which} header is wrong.`)
  }
  if (Number(header.readBigUInt64LE(24)) * blockSize !== offset) {
    throw new IsoError('invalid-partition-table', `The ${which} header is not where it says it is.`)
  }
  const entrySize = header.readUInt32LE(84)
  const entryCount = header.readUInt32LE(80)
  if (entrySize < 128 || entrySize % 8 !== 0 || entrySize * entryCount > 1024 * 1024) {
    throw new IsoError(
      'invalid-partition-table',
      `The ${which} has ${entryCount} entries of ${entrySize} bytes.`,
    )
  }
  const entriesOffset = Number(header.readBigUInt64LE(72)) * blockSize
  const entries = await readExactly(
    reader,
    entriesOffset,
    entrySize * entryCount,
    `the entries of the ${which}`,
  )
  if (crc32(entries) !== header.readUInt32LE(88)) {
    throw new IsoError('invalid-partition-table', `The checksum of the ${which} entries is wrong.`)
  }
  return {
    diskGuid: readGuid(header, 56),
    offset,
    alternateOffset: Number(header.readBigUInt64LE(32)) * blockSize,
    partitions: parseEntries(entries, entrySize),
  }
}

function parseEntries(entries: Buffer, entrySize: number): Partition[] {
  const partitions: Partition[] = []
  for (let index = 0; (index + 1) * entrySize <= entries.length; index++) {
    const entry = entries.subarray(index * entrySize, (index + 1) * entrySize)
    const type = readGuid(entry, 0)
    if (type === noType) continue
    const [first, last] = [Number(entry.readBigUInt64LE(32)), Number(entry.readBigUInt64LE(40))]
    partitions.push({
      table: 'gpt',
      number: index + 1,
      type,
      name: entry.toString('utf16le', 56, 128).replace(/\0.*/s, ''),
      offset: first * blockSize,
      length: (last - first + 1) * blockSize,
    })
  }
  return partitions
}

/** A GUID as text: its first three fields are little-endian (UEFI, appendix A). */
function readGuid(bytes: Buffer, offset: number): string {
  const hex = (start: number, end: number) => bytes.toString('hex', offset + start, offset + end)
  const reversed = (start: number, end: number) =>
    Buffer.from(bytes.subarray(offset + start, offset + end))
      .reverse()
      .toString('hex')
  return [reversed(0, 4), reversed(4, 6), reversed(6, 8), hex(8, 10), hex(10, 16)].join('-')
}
