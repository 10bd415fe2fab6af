import { IsoError } from './fault.ts'
import { readExactly } from './random-access.ts'
import type { RandomAccess } from './random-access.ts'
import { readSquashfs, type Squashfs } from './squashfs.ts'
import { decompressBlock } from './squashfs-block.ts'

/** Uncompressed size of a metadata block, in bytes. */
const metadataSize = 8192
/** Metadata blocks that are kept. */
const maximumKept = 256
/** Symbolic links that are followed for one path (Linux, `MAXSYMLINKS`). */
const maximumLinks = 40
/** Bytes of one directory that are read: tens of thousands of names. */
const maximumDirectory = 1024 * 1024
/** Bytes of tables that are read of one image; a whole one has less. */
const maximumTables = 64 * 1024 * 1024
/** The bits of a size that say that the bytes are not compressed: of metadata, and of data. */
const plainMetadata = 0x8000
const plainData = 0x100_0000
const noFragment = 0xffff_ffff

/** Types of inodes; each has an extended form, 7 more. */
const inodeTypes = { 1: 'directory', 2: 'file', 3: 'symlink' } as const

type Directory = {
  readonly type: 'directory'
  readonly block: number
  readonly offset: number
  readonly size: number
}
type File = {
  readonly type: 'file'
  readonly size: number
  /** Where the first data block is, within the squashfs. */
  readonly start: number
  readonly blocks: readonly number[]
  readonly fragment: { readonly index: number; readonly offset: number }
}
type Symlink = { readonly type: 'symlink'; readonly target: string }
type Inode = Directory | File | Symlink | { readonly type: 'other' }

/** A name in a directory, and where its inode is. */
export type DirectoryEntry = { readonly name: string; readonly block: number; readonly offset: number }

/** Where the next bytes of a table are: the metadata block, from the beginning of the table, and the byte in it. */
type Position = { block: number; offset: number }

/**
 * Reads files of a squashfs 4.0 (Linux, fs/squashfs/squashfs_fs.h) by their paths, a few blocks at a time, without
 * mounting or unpacking it: nothing in it can lead out of it. What contradicts itself is refused.
 */
export class SquashfsTree {
  readonly #reader: RandomAccess
  readonly #offset: number
  readonly #size: number
  readonly #squashfs: Squashfs
  readonly #tables: { readonly inodes: number; readonly directories: number; readonly fragments: number }
  readonly #root: Position
  #tableBytes = 0
  readonly #kept = new Map<number, { readonly bytes: Buffer; readonly next: number }>()

  private constructor(reader: RandomAccess, offset: number, squashfs: Squashfs, superblock: Buffer) {
    this.#reader = reader
    this.#offset = offset
    this.#size = squashfs.bytesUsed
    this.#squashfs = squashfs
    const place = (field: number) => Number(superblock.readBigUInt64LE(field))
    this.#tables = { inodes: place(64), directories: place(72), fragments: place(80) }
    this.#root = { block: Number(superblock.readBigUInt64LE(32) >> 16n), offset: superblock.readUInt16LE(32) }
  }

  /** Opens the squashfs of `size` bytes that begins at `offset`. @throws IsoError `invalid-squashfs`, `truncated` */
  static async open(reader: RandomAccess, offset: number, size: number): Promise<SquashfsTree> {
    const squashfs = await readSquashfs(reader, offset, size)
    const superblock = await readExactly(reader, offset, 96, 'the superblock of a squashfs')
    return new SquashfsTree(reader, offset, squashfs, superblock)
  }

  /**
   * The bytes of the file at an absolute path, symbolic links followed; undefined when there is no such file.
   * @throws IsoError `invalid-squashfs`, `truncated`; also for a file of more than `limit` bytes
   */
  async readFile(path: string, limit: number): Promise<Buffer | undefined> {
    const inode = await this.#find(path)
    if (inode?.type !== 'file') return undefined
    if (inode.size > limit)
      throw invalid(`has ${path} of ${inode.size} bytes, more than the ${limit} that are read`)
    const { blockSize } = this.#squashfs
    const parts: Buffer[] = []
    let place = inode.start
    for (const [index, block] of inode.blocks.entries()) {
      const length = Math.min(blockSize, inode.size - index * blockSize)
      parts.push(await this.#data(place, block, length))
      place += block & ~plainData
    }
    const rest = inode.size - inode.blocks.length * blockSize
    if (rest > 0) parts.push(await this.#fragment(inode.fragment, rest))
    return Buffer.concat(parts)
  }

  /** The names in the directory at an absolute path; none when there is no such directory. @throws IsoError */
  async names(path: string): Promise<string[]> {
    const inode = await this.#find(path)
    return inode?.type === 'directory' ? (await this.#entries(inode)).map(({ name }) => name) : []
  }

  async #find(path: string): Promise<Inode | undefined> {
    const root = await this.#inode(this.#root)
    const ancestors: Inode[] = [root]
    const names = namesOf(path)
    for (let links = 0; names.length > 0;) {
      const name = names.shift() ?? ''
      if (name === '..') {
        if (ancestors.length > 1) ancestors.pop()
        continue
      }
      const directory = ancestors.at(-1)
      if (directory?.type !== 'directory') return undefined
      const entry = (await this.#entries(directory)).find((candidate) => candidate.name === name)
      if (entry === undefined) return undefined
      const inode = await this.#inode(entry)
      if (inode.type !== 'symlink') {
        ancestors.push(inode)
        continue
      }
      links += 1
      if (links > maximumLinks) return undefined
      if (inode.target.startsWith('/')) ancestors.length = 1
      names.unshift(...namesOf(inode.target))
    }
    return ancestors.at(-1)
  }

  async #inode({ block, offset }: Position): Promise<Inode> {
    const position = { block, offset }
    const read = (length: number) => this.#metadata(this.#tables.inodes, position, length)
    const number = (await read(16)).readUInt16LE(0)
    const isExtended = number > 7
    const type = inodeTypes[(isExtended ? number - 7 : number) as keyof typeof inodeTypes] as
      (typeof inodeTypes)[keyof typeof inodeTypes] | undefined
    if (type === 'directory') {
      const fields = await read(isExtended ? 24 : 16)
      return isExtended
        ? {
            type,
            size: fields.readUInt32LE(4),
            block: fields.readUInt32LE(8),
            offset: fields.readUInt16LE(18),
          }
        : {
            type,
            size: fields.readUInt16LE(8),
            block: fields.readUInt32LE(0),
            offset: fields.readUInt16LE(10),
          }
    }
    if (type === 'symlink') {
      const length = (await read(8)).readUInt32LE(4)
      if (length > 4096) throw invalid(`has a symbolic link of ${length} bytes`)
      return { type, target: (await read(length)).toString() }
    }
    if (type === undefined) return { type: 'other' }
    const fields = await read(isExtended ? 40 : 16)
    const [start, size, index, place] = isExtended
      ? [readPlace(fields, 0), readPlace(fields, 8), fields.readUInt32LE(28), fields.readUInt32LE(32)]
      : [fields.readUInt32LE(0), fields.readUInt32LE(12), fields.readUInt32LE(4), fields.readUInt32LE(8)]
    const { blockSize } = this.#squashfs
    const count = index === noFragment ? Math.ceil(size / blockSize) : Math.floor(size / blockSize)
    // Each block is told by four bytes of the table of inodes: there are no more than it has room for.
    if (count * 4 > this.#tables.directories * 1024) throw invalid(`has a file of ${size} bytes`)
    return {
      type,
      size,
      start,
      fragment: { index, offset: place },
      blocks: await this.#numbers(position, count),
    }
  }

  /** Numbers of 32 bits from the table of inodes, read as they are needed. */
  async #numbers(position: Position, count: number): Promise<number[]> {
    const numbers: number[] = []
    while (numbers.length < count) {
      const some = Math.min(count - numbers.length, 1024)
      const bytes = await this.#metadata(this.#tables.inodes, position, some * 4)
      for (let index = 0; index < some; index += 1) numbers.push(bytes.readUInt32LE(index * 4))
    }
    return numbers
  }

  async #entries({ block, offset, size }: Directory): Promise<DirectoryEntry[]> {
    // The size counts `.` and `..`, which are not stored, as 3 bytes.
    let rest = size - 3
    if (rest > maximumDirectory) throw invalid(`has a directory of ${size} bytes`)
    const position = { block, offset }
    const read = async (length: number) => {
      rest -= length
      return this.#metadata(this.#tables.directories, position, length)
    }
    const entries: DirectoryEntry[] = []
    while (rest > 0) {
      const header = await read(12)
      const count = header.readUInt32LE(0) + 1
      if (count > 256) throw invalid(`has ${count} names under one header of a directory`)
      for (let index = 0; index < count; index += 1) {
        const entry = await read(8)
        const name = (await read(entry.readUInt16LE(6) + 1)).toString()
        entries.push({ name, block: header.readUInt32LE(4), offset: entry.readUInt16LE(0) })
      }
    }
    return entries
  }

  async #fragment({ index, offset }: File['fragment'], length: number): Promise<Buffer> {
    if (index === noFragment) throw invalid('has a file without its last bytes')
    const place = this.#tables.fragments + Math.floor(index / 512) * 8
    const position = { block: readPlace(await this.#bytes(place, 8), 0), offset: (index % 512) * 16 }
    const entry = await this.#metadata(0, position, 16)
    const block = await this.#data(readPlace(entry, 0), entry.readUInt32LE(8), undefined)
    if (offset + length > block.length) throw invalid('has a fragment outside of its block')
    return block.subarray(offset, offset + length)
  }

  /** A data block; of `length` bytes, or of as many as there are. */
  async #data(place: number, sizeAndFlag: number, length: number | undefined): Promise<Buffer> {
    const { blockSize, compression } = this.#squashfs
    const stored = sizeAndFlag & ~plainData
    if (stored === 0) return Buffer.alloc(length ?? 0)
    if (stored > blockSize) throw invalid(`has a block of ${stored} bytes`)
    const bytes = await this.#bytes(place, stored)
    const block =
      (sizeAndFlag & plainData) !== 0 ? bytes : await decompressBlock(compression, bytes, blockSize)
    if (length !== undefined && block.length !== length)
      throw invalid('has a block of another length than it should')
    return block
  }

  /** The next bytes of a table; `position` is moved behind them. */
  async #metadata(table: number, position: Position, length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    this.#tableBytes += length
    if (this.#tableBytes > maximumTables) throw invalid('leads around in its tables')
    for (let missing = length; missing > 0;) {
      const { bytes, next } = await this.#metadataBlock(table + position.block)
      const part = bytes.subarray(position.offset, position.offset + missing)
      if (part.length === 0 && position.offset < bytes.length) throw invalid('has no such byte in its tables')
      if (position.offset > bytes.length) throw invalid('points behind a block of its tables')
      parts.push(part)
      missing -= part.length
      position.offset += part.length
      if (missing > 0) {
        position.block = next - table
        position.offset = 0
      }
    }
    return Buffer.concat(parts)
  }

  async #metadataBlock(place: number): Promise<{ bytes: Buffer; next: number }> {
    const kept = this.#kept.get(place)
    if (kept !== undefined) return kept
    const header = (await this.#bytes(place, 2)).readUInt16LE(0)
    const length = header & ~plainMetadata
    if (length === 0 || length > metadataSize) throw invalid(`has no table at byte ${place}`)
    const stored = await this.#bytes(place + 2, length)
    const isPlain = (header & plainMetadata) !== 0
    const bytes = isPlain ? stored : await decompressBlock(this.#squashfs.compression, stored, metadataSize)
    if (bytes.length === 0) throw invalid(`has an empty table at byte ${place}`)
    const block = { bytes, next: place + 2 + length }
    const [oldest] = this.#kept.keys()
    if (oldest !== undefined && this.#kept.size >= maximumKept) this.#kept.delete(oldest)
    this.#kept.set(place, block)
    return block
  }

  async #bytes(place: number, length: number): Promise<Buffer> {
    if (place + length > this.#size) throw invalid(`points to byte ${place}, behind its end`)
    return readExactly(this.#reader, this.#offset + place, length, 'a squashfs')
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}

function readPlace(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset))
}

function invalid(what: string): IsoError {
  return new IsoError('invalid-squashfs', `The squashfs ${what}.`)
}
