import { IsoError } from './fault.ts'
import { readExactly } from './random-access.ts'
import type { RandomAccess } from './random-access.ts'

const superblockSize = 96
/** The bytes `hsqs`. */
const magic = 0x73717368
/** What the place of a table is when there is no such table. */
const noTable = 0xffff_ffff_ffff_ffffn
/** Uncompressed size of a metadata block, in bytes. */
const metadataSize = 8192

/** Compressions by their number, from 1. */
const compressions = ['gzip', 'lzma', 'lzo', 'xz', 'lz4', 'zstd'] as const

/** What the superblock of a squashfs tells. */
export type Squashfs = {
  compression: (typeof compressions)[number]
  /** Bytes in a data block. */
  blockSize: number
  inodeCount: number
  /** Bytes of the file system, without padding. */
  bytesUsed: number
}

/**
 * Reads and checks the superblock of a squashfs 4.0 (Linux, fs/squashfs/squashfs_fs.h) that begins at
 * `offset` and has `size` bytes: that it contradicts itself nowhere, that its tables lie within the file,
 * and that there is a table where it says.
 * @throws IsoError `invalid-squashfs`, `truncated`
 */
export async function readSquashfs(reader: RandomAccess, offset: number, size: number): Promise<Squashfs> {
  if (size < superblockSize) throw invalid(`has ${size} bytes, less than its superblock`)
  const block = await readExactly(reader, offset, superblockSize, 'the superblock of a squashfs')
  if (block.readUInt32LE(0) !== magic) throw invalid('does not begin with its magic number')
  const version = `${block.readUInt16LE(28)}.${block.readUInt16LE(30)}`
  if (version !== '4.0') throw invalid(`is of version ${version}, not 4.0`)
  const blockSize = block.readUInt32LE(12)
  const blockLog = block.readUInt16LE(22)
  if (blockLog < 12 || blockLog > 20 || blockSize !== 2 ** blockLog) {
    throw invalid(`has blocks of ${blockSize} bytes and says that this is 2 to the ${blockLog}`)
  }
  const compression = compressions[block.readUInt16LE(20) - 1]
  if (compression === undefined) throw invalid(`has the unknown compression ${block.readUInt16LE(20)}`)
  const inodeCount = block.readUInt32LE(4)
  const bytesUsed = readPlace(block, 40)
  if (inodeCount === 0) throw invalid('has no inodes')
  if (bytesUsed < superblockSize || bytesUsed > size) {
    throw invalid(`says it has ${bytesUsed} bytes, and the file has ${size}`)
  }
  await checkTables(reader, offset, block, bytesUsed)
  return { compression, blockSize, inodeCount, bytesUsed }
}

async function checkTables(
  reader: RandomAccess,
  offset: number,
  block: Buffer,
  bytesUsed: number,
): Promise<void> {
  const inodes = readPlace(block, 64)
  const directories = readPlace(block, 72)
  const ids = readPlace(block, 48)
  if (inodes < superblockSize || inodes >= directories || directories > ids || ids >= bytesUsed) {
    throw invalid(`has its tables out of order: inodes ${inodes}, directories ${directories}, ids ${ids}`)
  }
  const rootBlock = Number(block.readBigUInt64LE(32) >> 16n)
  if (rootBlock >= directories - inodes || block.readUInt16LE(32) >= metadataSize) {
    throw invalid('has its root directory outside of the inodes')
  }
  for (const place of [inodes, directories]) {
    const header = (await readExactly(reader, offset + place, 2, 'a table of a squashfs')).readUInt16LE(0)
    const length = header & 0x7fff
    if (length === 0 || length > metadataSize) throw invalid(`has no table at byte ${place}`)
  }
  const [idCount, fragmentCount] = [block.readUInt16LE(26), block.readUInt32LE(16)]
  for (const { name, field, count, entrySize } of [
    { name: 'ids', field: 48, count: idCount, entrySize: 4 },
    { name: 'fragments', field: 80, count: fragmentCount, entrySize: 16 },
    { name: 'exports', field: 88, count: block.readUInt32LE(4), entrySize: 8 },
  ]) {
    if (block.readBigUInt64LE(field) === noTable || (count === 0 && name === 'fragments')) continue
    const place = readPlace(block, field)
    const blocks = Math.ceil((count * entrySize) / metadataSize)
    if (blocks === 0 || place + blocks * 8 > bytesUsed) {
      throw invalid(`says that it has ${count} ${name} at byte ${place}, where there is no room for them`)
    }
    await checkIndex(reader, offset, { name, place, blocks })
  }
}

/** A table of fixed-size entries is an index of the places of its metadata blocks, which precede it. */
async function checkIndex(
  reader: RandomAccess,
  offset: number,
  { name, place, blocks }: { name: string; place: number; blocks: number },
): Promise<void> {
  const index = await readExactly(reader, offset + place, blocks * 8, `the ${name} of a squashfs`)
  let previous = superblockSize - 1
  for (let position = 0; position < index.length; position += 8) {
    const next = readPlace(index, position)
    if (next <= previous || next >= place) throw invalid(`has no index of ${name} at byte ${place}`)
    previous = next
  }
}

/** A 64-bit number; one beyond what JavaScript counts exactly is beyond every file too. */
function readPlace(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset))
}

function invalid(what: string): IsoError {
  return new IsoError('invalid-squashfs', `The squashfs ${what}.`)
}
