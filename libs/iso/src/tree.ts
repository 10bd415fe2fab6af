import { IsoError } from './fault.ts'
import { readExactly } from './random-access.ts'
import type { RandomAccess } from './random-access.ts'
import { findSystemUseSkip, readRockRidge } from './rock-ridge.ts'
import type { RockRidge } from './rock-ridge.ts'
import { decodeUcs2, readBothEndian32, sectorSize } from './volume.ts'
import type { Extent, Volume } from './volume.ts'

/** One file, directory or symbolic link of an image. */
export type TreeEntry = {
  type: 'file' | 'directory' | 'symlink'
  /** Absolute path with `/`; by Rock Ridge or Joliet names where the tree has them. */
  path: string
  /** Size in bytes: the sum of the extents. */
  size: number
  /** Where the content is, in order; a file of 4 GiB and more has several. */
  extents: Extent[]
  /** First byte of the directory record of each extent, in bytes of the image, in the same order. */
  recordOffsets: number[]
  /** POSIX `st_mode`; absent from a tree without Rock Ridge. */
  mode?: number
  symlinkTarget?: string
}

/** No directory of an image comes near; larger ones are damage. */
const maxDirectoryLength = 64 * 1024 * 1024

const maxDepth = 256

const flag = { directory: 0x02, multiExtent: 0x80 } as const

/** `offset` is that of the record itself, in bytes of the image. */
type DirectoryRecord = {
  offset: number
  extent: Extent
  flags: number
  identifier: Buffer
  systemUse: Buffer
}

type NamedRecord = DirectoryRecord & { name: string; rockRidge: RockRidge }

type Directory = { path: string; extent: Extent; depth: number }

/**
 * Iterates over the directory tree of a volume, each directory before its content.
 * @throws IsoError `invalid-directory`, `truncated`
 */
export async function* walkTree(reader: RandomAccess, volume: Volume): AsyncGenerator<TreeEntry> {
  const pending: Directory[] = [{ path: '', extent: volume.root, depth: 0 }]
  const seen = new Set<number>()
  const skip = await readSystemUseSkip(reader, volume)
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    if (seen.has(directory.extent.offset) || directory.depth > maxDepth) {
      throw new IsoError('invalid-directory', `The directory ${directory.path || '/'} contains itself.`)
    }
    seen.add(directory.extent.offset)
    const children: Directory[] = []
    for await (const entry of readDirectory(reader, volume, directory, skip)) {
      yield entry
      const extent = entry.extents[0]
      if (entry.type === 'directory' && extent !== undefined) {
        children.push({ path: entry.path, extent, depth: directory.depth + 1 })
      }
    }
    pending.push(...children.reverse())
  }
}

/** Iterates over the entries of one directory, without descending. */
async function* readDirectory(
  reader: RandomAccess,
  volume: Volume,
  directory: Directory,
  skip: number | undefined,
): AsyncGenerator<TreeEntry> {
  let parts: NamedRecord[] = []
  for (const record of await readRecords(reader, volume, directory)) {
    const named = await nameRecord(reader, volume, record, skip)
    if (named === undefined) continue
    parts.push(named)
    if (named.flags & flag.multiExtent) continue
    yield await toEntry(reader, volume, named, `${directory.path}/${named.name}`, parts)
    parts = []
  }
  if (parts.length > 0) {
    throw new IsoError(
      'invalid-directory',
      `The last file of ${directory.path || '/'} lacks its last extent.`,
    )
  }
}

async function toEntry(
  reader: RandomAccess,
  volume: Volume,
  record: NamedRecord,
  path: string,
  parts: readonly NamedRecord[],
): Promise<TreeEntry> {
  const { relocatedBlock, symlinkTarget, mode } = record.rockRidge
  const extents =
    relocatedBlock === undefined
      ? parts.map(({ extent }) => extent)
      : [await readOwnExtent(reader, volume, relocatedBlock)]
  const isDirectory = (record.flags & flag.directory) !== 0
  const type = symlinkTarget === undefined ? (isDirectory ? 'directory' : 'file') : 'symlink'
  return {
    type: relocatedBlock === undefined ? type : 'directory',
    path,
    size: extents.reduce((sum, extent) => sum + extent.length, 0),
    extents,
    recordOffsets: parts.map(({ offset }) => offset),
    ...(mode === undefined ? {} : { mode }),
    ...(symlinkTarget === undefined ? {} : { symlinkTarget }),
  }
}

/** Gives a record its name; undefined for the directory's own records and for relocated ones. */
async function nameRecord(
  reader: RandomAccess,
  volume: Volume,
  record: DirectoryRecord,
  skip: number | undefined,
): Promise<NamedRecord | undefined> {
  if (record.identifier.length === 1 && record.identifier.readUInt8(0) <= 1) return undefined
  const rockRidge: RockRidge =
    skip === undefined ? { relocated: false } : await readRockRidge(reader, volume, record.systemUse, skip)
  if (rockRidge.relocated) return undefined
  const name = rockRidge.name ?? decodeIdentifier(record, volume)
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new IsoError('invalid-directory', `A directory record has the name ${JSON.stringify(name)}.`)
  }
  return { ...record, name, rockRidge }
}

/** The name without its version; a name without an extension loses its dot too (ECMA-119, 7.5). */
function decodeIdentifier(record: DirectoryRecord, volume: Volume): string {
  if (volume.kind === 'joliet') return decodeUcs2(record.identifier).replace(/;\d+$/, '')
  const name = record.identifier.toString('latin1').replace(/;\d+$/, '')
  return record.flags & flag.directory ? name : name.replace(/\.$/, '')
}

async function readRecords(
  reader: RandomAccess,
  volume: Volume,
  directory: Directory,
): Promise<DirectoryRecord[]> {
  const what = `the directory ${directory.path || '/'}`
  if (directory.extent.length > maxDirectoryLength) {
    throw new IsoError('invalid-directory', `It says ${directory.extent.length} bytes of ${what}.`)
  }
  const { offset, length: size } = directory.extent
  const bytes = await readExactly(reader, offset, size, what)
  const records: DirectoryRecord[] = []
  for (let position = 0; position < bytes.length;) {
    const length = bytes.readUInt8(position)
    const sectorEnd = (Math.floor(position / sectorSize) + 1) * sectorSize
    if (length === 0) {
      position = sectorEnd
      continue
    }
    if (length < 34 || position + length > Math.min(sectorEnd, bytes.length)) {
      throw new IsoError('invalid-directory', `There is a malformed record in ${what}.`)
    }
    records.push(parseRecord(bytes.subarray(position, position + length), offset + position, volume, what))
    position += length
  }
  return records
}

function parseRecord(record: Buffer, offset: number, volume: Volume, what: string): DirectoryRecord {
  const identifierEnd = 33 + record.readUInt8(32)
  const attributeBlocks = record.readUInt8(1)
  if (identifierEnd > record.length) {
    throw new IsoError('invalid-directory', `There is a malformed record in ${what}.`)
  }
  if (record.readUInt8(26) !== 0 || record.readUInt8(27) !== 0) {
    throw new IsoError(
      'invalid-directory',
      `There is an interleaved file in ${what}; those are not supported.`,
    )
  }
  const block = readBothEndian32(record, 2, 'the place of a file')
  return {
    offset,
    extent: {
      offset: volume.base + (block + attributeBlocks) * volume.blockSize,
      length: readBothEndian32(record, 10, 'the size of a file'),
    },
    flags: record.readUInt8(25),
    identifier: record.subarray(33, identifierEnd),
    systemUse: record.subarray(identifierEnd + (identifierEnd % 2)),
  }
}

/** The first record of every directory is its own; the root's tells whether there is Rock Ridge. */
async function readOwnRecord(reader: RandomAccess, volume: Volume, offset: number): Promise<DirectoryRecord> {
  const sector = await readExactly(reader, offset, sectorSize, 'a directory')
  const length = sector.readUInt8(0)
  if (length < 34) throw new IsoError('invalid-directory', 'A directory does not begin with its own record.')
  return parseRecord(sector.subarray(0, length), offset, volume, 'a directory')
}

async function readSystemUseSkip(reader: RandomAccess, volume: Volume): Promise<number | undefined> {
  const root = await readOwnRecord(reader, volume, volume.root.offset)
  return findSystemUseSkip(root.systemUse)
}

async function readOwnExtent(reader: RandomAccess, volume: Volume, block: number): Promise<Extent> {
  return (await readOwnRecord(reader, volume, volume.base + block * volume.blockSize)).extent
}
