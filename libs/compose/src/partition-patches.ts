import { crc32 } from 'node:zlib'
import { readGpt } from '@edgesmith/iso/partition-table'
import { readExactly, type RandomAccess } from '@edgesmith/iso/random-access'
import { ComposeError } from './compose-error.ts'
import type { DraftPatch, Relocation } from './relocation.ts'

/** Bytes in a block of the partition tables. */
const blockSize = 512

/** The geometry in which `xorriso-commands.ts` has addresses in CHS form told. */
const heads = 255
const sectorsPerTrack = 63

/** What changes in the MBR, in the GPT and in its backup. */
export async function partitionPatches(reader: RandomAccess, relocation: Relocation): Promise<DraftPatch[]> {
  const start = await readExactly(reader, 0, systemArea, 'the system area')
  if (
    start.toString('latin1', blockSize, blockSize + 2) === 'PM' ||
    start.toString('latin1', 2048, 2050) === 'PM'
  ) {
    throw new ComposeError('The image has an Apple partition map, which cannot be laid out anew.')
  }
  const patches = mbrPatches(start.subarray(0, blockSize), relocation)
  const gpt = await readGpt(reader)
  if (gpt === undefined) return patches
  for (const offset of [gpt.offset, gpt.alternateOffset]) {
    patches.push(...(await gptPatches(reader, offset, relocation)))
  }
  return patches
}

/** Bytes before the volume descriptors (ECMA-119, 6.2.1). */
const systemArea = 32_768

/** The MBR's four entries: first block at byte 8, number of blocks at byte 12, both in CHS form too. */
function mbrPatches(mbr: Buffer, relocation: Relocation): DraftPatch[] {
  const patches: DraftPatch[] = []
  if (mbr.readUInt16LE(510) !== 0xaa55) return patches
  for (let offset = 446; offset < 510; offset += 16) {
    const entry = Buffer.from(mbr.subarray(offset, offset + 16))
    const [first, blocks] = [entry.readUInt32LE(8), entry.readUInt32LE(12)]
    if (blocks === 0) continue
    const movedFirst = relocation.move(first * blockSize) / blockSize
    const movedEnd = relocation.move((first + blocks) * blockSize) / blockSize
    if (movedFirst !== first) writeCylinderHeadSector(entry, 1, movedFirst)
    if (movedEnd !== first + blocks) writeCylinderHeadSector(entry, 5, movedEnd - 1)
    // A disk of 2 TiB and more is told as the largest that can be (UEFI, 5.2.3).
    entry.writeUInt32LE(Math.min(movedFirst, 0xffff_ffff), 8)
    entry.writeUInt32LE(Math.min(movedEnd - movedFirst, 0xffff_ffff), 12)
    patches.push({ offset, bytes: entry })
  }
  return patches
}

/** A block's address as three bytes; 0xFE 0xFF 0xFF for one that is too far (UEFI, 5.2.3). */
function writeCylinderHeadSector(entry: Buffer, offset: number, block: number): void {
  const cylinder = Math.floor(block / (heads * sectorsPerTrack))
  if (cylinder > 1023) {
    entry.set([0xfe, 0xff, 0xff], offset)
    return
  }
  const head = Math.floor(block / sectorsPerTrack) % heads
  const sector = (block % sectorsPerTrack) + 1
  entry.set([head, sector | ((cylinder >> 2) & 0xc0), cylinder & 0xff], offset)
}

/** A GPT header (UEFI, 5.3.2) and its entries (5.3.3); both have checksums. */
async function gptPatches(
  reader: RandomAccess,
  offset: number,
  relocation: Relocation,
): Promise<DraftPatch[]> {
  const move = (block: number) => relocation.move(block * blockSize) / blockSize
  const moveLast = (block: number) => move(block + 1) - 1
  const header = Buffer.from(await readExactly(reader, offset, blockSize, 'a GPT header'))
  const headerSize = header.readUInt32LE(12)
  const entrySize = header.readUInt32LE(84)
  const entriesOffset = readBlock(header, 72) * blockSize
  const entries = Buffer.from(
    await readExactly(reader, entriesOffset, entrySize * header.readUInt32LE(80), 'the entries of a GPT'),
  )
  for (let entry = 0; entry < entries.length; entry += entrySize) {
    if (entries.subarray(entry, entry + 16).every((byte) => byte === 0)) continue
    writeBlock(entries, entry + 32, move(readBlock(entries, entry + 32)))
    writeBlock(entries, entry + 40, moveLast(readBlock(entries, entry + 40)))
  }
  for (const field of [24, 32, 40, 72]) writeBlock(header, field, move(readBlock(header, field)))
  writeBlock(header, 48, moveLast(readBlock(header, 48)))
  header.writeUInt32LE(crc32(entries), 88)
  header.writeUInt32LE(0, 16)
  header.writeUInt32LE(crc32(header.subarray(0, headerSize)), 16)
  return [
    { offset, bytes: header },
    { offset: entriesOffset, bytes: entries },
  ]
}

function readBlock(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset))
}

function writeBlock(bytes: Buffer, offset: number, block: number): void {
  bytes.writeBigUInt64LE(BigInt(block), offset)
}
