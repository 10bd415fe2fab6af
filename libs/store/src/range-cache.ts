import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BlockSums, contentSize } from './block-sums.ts'
import { CheckedFileReader, DamagedFile } from './checked-file-reader.ts'
import { isErrno } from './errno.ts'
import { GrowingFile } from './growing-file.ts'
import type { ByteRange, ObjectStore } from './object-store.ts'
import { disposeOpened, FileRangeReader } from './range-reader.ts'
import type { RangeReader, RangeSource } from './range-reader.ts'

/** Objects are kept in blocks of this size, in bytes. */
const blockSize = 16 * 1024 * 1024
/** Changes with the form of the files, so that none is read as what it is not. */
const format = 'sums'
/** Bytes that are written at a time, while as many come from the store. */
const copySize = 512 * 1024
/** How many blocks are fetched at once: each takes memory. */
const maximumFills = 4
/** Ranges below this size are read from the store, unless their block is there. */
const leastCached = 256 * 1024
/**
 * For so long, in milliseconds, a block that was found to be good is not looked at again: what was just read from
 * the disk comes from memory then, and checking all of it each time would cost a third of what a download does.
 */
const goodFor = 60_000
const directoryMode = 0o700
const fileMode = 0o600

export type RangeCacheOptions = {
  /** Directory of this process's own. */
  readonly directory: string
  /**
   * How much is kept there, in bytes, beside the blocks that are being fetched; what was not read for the longest
   * time goes first.
   */
  readonly maximumBytes: number
  /** Is told why a block is of no use, as when the disk is full, or has damaged it; it is then read from the store. */
  readonly onUnusable: (error: unknown) => void
}

/**
 * Keeps blocks of objects, which never change, in local files: bases are read thousands of times. They are
 * checked when they are read (`CheckedFileReader`), but for those that were found to be good a moment ago; one
 * that is damaged is read from the store, and fetched anew.
 */
export class RangeCache implements RangeSource {
  readonly #store: ObjectStore
  readonly #options: RangeCacheOptions
  readonly #root: string
  /** Sizes of the blocks by their paths, that which was not read for the longest time first. */
  readonly #kept = new Map<string, number>()
  /** When blocks were found to be good, by their paths: `Date.now()`. */
  readonly #good = new Map<string, number>()
  readonly #filling = new Map<string, GrowingFile>()
  #fills = 0
  readonly #awaitingFill: (() => void)[] = []
  #bytes = 0

  private constructor(store: ObjectStore, options: RangeCacheOptions, root: string) {
    this.#store = store
    this.#options = options
    this.#root = root
  }

  /**
   * Opens a cache, with what an earlier process of the same boot left in it. What is from before a crash of
   * the machine is not used: it was not synced to the disk.
   */
  static async open(store: ObjectStore, options: RangeCacheOptions): Promise<RangeCache> {
    const { directory } = options
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    const current = `${boot}-${format}`
    const root = join(directory, current)
    await mkdir(root, { recursive: true, mode: directoryMode })
    for (const name of await readdir(directory)) {
      if (name !== current) await rm(join(directory, name), { recursive: true, force: true })
    }
    const cache = new RangeCache(store, options, root)
    await cache.#takeOver()
    return cache
  }

  async openRange(key: string, range: Required<ByteRange>): Promise<RangeReader> {
    const { offset, length } = range
    const isKept = this.#kept.has(this.#pathOf(key, Math.floor(offset / blockSize)))
    if (length < leastCached && !isKept) return this.#store.openRange(key, range)
    const reader = new BlocksReader(
      { block: (from) => this.#openBlock(key, from), unkept: (from) => this.#openUnkept(key, from) },
      range,
    )
    await reader.openFirst()
    return reader
  }

  /** Opens the rest of the block that a byte of an object lies in, which is fetched where missing. */
  async #openBlock(key: string, from: number): Promise<RangeReader> {
    const index = Math.floor(from / blockSize)
    const path = this.#pathOf(key, index)
    const skip = from - index * blockSize
    try {
      const kept = await this.#openKept(path, skip)
      if (kept !== undefined) return kept
      let filling = this.#filling.get(path)
      if (filling === undefined) {
        this.#filling.set(path, (filling = new GrowingFile()))
        void this.#fill(filling, path, key, { offset: index * blockSize, length: blockSize })
      }
      return await filling.openReader(skip)
    } catch (error) {
      if (!isUnusable(error)) throw error
    }
    return this.#openUnkept(key, from)
  }

  /** Opens the rest of a block where it cannot be kept. */
  #openUnkept(key: string, from: number): Promise<RangeReader> {
    return this.#store.openRange(key, { offset: from, length: blockSize - (from % blockSize) })
  }

  async #openKept(path: string, offset: number): Promise<RangeReader | undefined> {
    const size = this.#kept.get(path)
    if (size === undefined) return undefined
    this.#kept.delete(path)
    this.#kept.set(path, size)
    const now = Date.now()
    try {
      if (now - (this.#good.get(path) ?? -Infinity) < goodFor) {
        const length = (contentSize(size) ?? 0) - offset
        return new FileRangeReader(await open(path), { offset, length })
      }
      const reader = await CheckedFileReader.open(path, { offset })
      return {
        read: async (buffer) => {
          const read = await this.#droppingDamaged(reader.read(buffer))
          if (offset === 0 && reader.left === 0) this.#good.set(path, now)
          return read
        },
        [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
      }
    } catch (error) {
      if (isErrno(error, 'ENOENT')) {
        this.#forget(path)
        return undefined
      }
      if (error instanceof DamagedFile) await this.#drop(error)
      else this.#tell(error)
      throw error
    }
  }

  async #droppingDamaged<Result>(reading: Promise<Result>): Promise<Result> {
    try {
      return await reading
    } catch (error) {
      if (error instanceof DamagedFile) await this.#drop(error)
      throw error
    }
  }

  /** Removes a damaged block, which is fetched anew when it is wanted again. */
  async #drop(error: DamagedFile): Promise<void> {
    this.#options.onUnusable(error)
    if (this.#forget(error.path)) await rm(error.path, { force: true })
  }

  /** False when another one was told the same. */
  #forget(path: string): boolean {
    this.#bytes -= this.#kept.get(path) ?? 0
    this.#good.delete(path)
    return this.#kept.delete(path)
  }

  /** Fetches a block; what goes wrong is told to its readers. */
  async #fill(filling: GrowingFile, path: string, key: string, range: Required<ByteRange>): Promise<void> {
    const temporary = `${path}.${randomUUID()}`
    try {
      await this.#beginFill()
      try {
        await this.#copy(filling, temporary, key, range)
      } finally {
        this.#endFill()
      }
      const { size } = await stat(temporary)
      await rename(temporary, path)
      this.#keep(path, size)
      this.#filling.delete(path)
      await filling.end()
      await this.#makeRoom()
    } catch (error) {
      this.#tell(error)
      this.#filling.delete(path)
      await filling.end({ error })
      await rm(temporary, { force: true })
    }
  }

  #tell(error: unknown): void {
    if (isUnusable(error)) this.#options.onUnusable(error)
  }

  async #copy(file: GrowingFile, path: string, key: string, range: Required<ByteRange>): Promise<void> {
    await using source = await this.#store.openRange(key, range)
    await mkdir(dirname(path), { recursive: true, mode: directoryMode })
    await file.create(path, fileMode)
    let filled = Buffer.allocUnsafeSlow(copySize)
    let other = Buffer.allocUnsafeSlow(copySize)
    const sums = new BlockSums()
    for (let read = await source.read(filled); read > 0;) {
      const bytes = filled.subarray(0, read)
      // The next bytes come while these are written.
      const working = Promise.all([source.read(other), file.append(bytes)])
      sums.add(bytes)
      ;[read] = await working
      ;[filled, other] = [other, filled]
    }
    await file.seal(sums.trailer())
  }

  async #beginFill(): Promise<void> {
    if (this.#fills < maximumFills) this.#fills += 1
    else await new Promise<void>((resolve) => this.#awaitingFill.push(resolve))
  }

  /** Leaves the place to the next in turn. */
  #endFill(): void {
    const next = this.#awaitingFill.shift()
    if (next === undefined) this.#fills -= 1
    else next()
  }

  #keep(path: string, size: number): void {
    this.#kept.set(path, size)
    this.#bytes += size
  }

  async #makeRoom(): Promise<void> {
    for (const path of this.#kept.keys()) {
      if (this.#bytes <= this.#options.maximumBytes) return
      this.#forget(path)
      // Whoever has it open reads on.
      await rm(path, { force: true })
    }
  }

  async #takeOver(): Promise<void> {
    const found: { path: string; size: number; modified: number }[] = []
    for (const entry of await readdir(this.#root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile()) continue
      const { size, mtimeMs } = await stat(path)
      if (/^\d+$/.test(entry.name)) found.push({ path, size, modified: mtimeMs })
      else await unlink(path)
    }
    for (const { path, size } of found.sort((a, b) => a.modified - b.modified)) this.#keep(path, size)
    await this.#makeRoom()
  }

  #pathOf(key: string, index: number): string {
    return join(this.#root, createHash('sha256').update(key).digest('hex'), String(index))
  }
}

/** Whether a file cannot be used for reasons of the disk's. */
function isUnusable(error: unknown): boolean {
  return error instanceof DamagedFile || isErrno(error, 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO')
}

type OpenAt = (from: number) => Promise<RangeReader>

/** Reads a range over the blocks it lies in; the next block is opened while one is read. */
class BlocksReader implements RangeReader {
  readonly #open: { readonly block: OpenAt; readonly unkept: OpenAt }
  readonly #end: number
  #position: number
  #block: Promise<RangeReader> | undefined
  /** What `#block` has become: without a wait, a read begins before its caller goes on. */
  #current: RangeReader | undefined
  #next: Promise<RangeReader> | undefined
  #isDisposed = false

  constructor(
    open: { readonly block: OpenAt; readonly unkept: OpenAt },
    { offset, length }: Required<ByteRange>,
  ) {
    this.#open = open
    this.#position = offset
    this.#end = offset + length
  }

  /** Opens the first block, so that an object which is not there is known at once. */
  async openFirst(): Promise<void> {
    this.#block = this.#open.block(this.#position)
    await this.#block
  }

  async read(buffer: Buffer): Promise<number> {
    let filled = 0
    while (filled < buffer.length && this.#position < this.#end) {
      const blockEnd = (Math.floor(this.#position / blockSize) + 1) * blockSize
      const block = (this.#current ??= await this.#openAt(this.#position))
      if (this.#isDisposed) throw new Error('The reader was closed.')
      if (blockEnd < this.#end) this.#next ??= quietly(this.#open.block(blockEnd))
      const wanted = Math.min(buffer.length - filled, Math.min(blockEnd, this.#end) - this.#position)
      const read = await this.#readOf(block, buffer.subarray(filled, filled + wanted))
      filled += read
      this.#position += read
      if (read < wanted) break
      if (this.#position === blockEnd) {
        const finished = this.#current
        this.#block = undefined
        this.#current = undefined
        await finished[Symbol.asyncDispose]()
      }
    }
    return filled
  }

  async #readOf(block: RangeReader, target: Buffer): Promise<number> {
    try {
      return await block.read(target)
    } catch (error) {
      if (!isUnusable(error)) throw error
      // The disk became full while the block was fetched, or has damaged it.
      await block[Symbol.asyncDispose]()
      this.#block = quietly(this.#open.unkept(this.#position))
      this.#current = await this.#block
      return this.#current.read(target)
    }
  }

  #openAt(position: number): Promise<RangeReader> {
    if (this.#block === undefined) {
      this.#block = this.#next ?? quietly(this.#open.block(position))
      this.#next = undefined
    }
    return this.#block
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await Promise.all([disposeOpened(this.#block), disposeOpened(this.#next)])
  }
}

/** Leaves an error to whoever waits for the reader. */
function quietly(opening: Promise<RangeReader>): Promise<RangeReader> {
  opening.catch(() => undefined)
  return opening
}
