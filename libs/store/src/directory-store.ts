import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import {
  access,
  constants,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  utimes,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { BlockSums, contentSize } from './block-sums.ts'
import { CheckedFileReader, DamagedFile } from './checked-file-reader.ts'
import { adoptEarlierObjects } from './earlier-layout.ts'
import { isErrno } from './errno.ts'
import { IncomingFiles } from './incoming-files.ts'
import {
  assertByteRange,
  assertKeyPrefix,
  assertObjectKey,
  DamagedObject,
  NoSuchObject,
} from './object-store.ts'
import type {
  ByteRange,
  ObjectEntry,
  ObjectStat,
  ObjectStore,
  PartialObject,
  PutOptions,
} from './object-store.ts'
import { PartialFiles } from './partial-files.ts'
import { streamPieces } from './pieces.ts'
import type { Piece } from './pieces.ts'
import { readerStream } from './range-reader.ts'
import type { RangeReader } from './range-reader.ts'

// These begin with a dot, as no object key does.
const objectsDirectory = '.objects'
const incomingDirectory = '.incoming'
const partialDirectory = '.partial'

// Objects hold secrets, such as the registration tokens in user-data.
const fileMode = 0o600
const directoryMode = 0o700

/**
 * Opens a directory as an object store and makes it where missing. Each object is a file in `.objects` whose
 * path is its key, with the sums of its blocks behind its bytes (`BlockSums`). Several processes of one machine
 * can share it. Files that a crashed process did not finish are removed; objects without sums, as an earlier
 * version kept them, get some.
 */
export async function openDirectoryStore(path: string): Promise<ObjectStore> {
  const root = resolve(path)
  const objects = join(root, objectsDirectory)
  await mkdir(objects, { recursive: true, mode: directoryMode })
  const incoming = await IncomingFiles.open(join(root, incomingDirectory))
  const store = new DirectoryStore(objects, incoming, new PartialFiles(join(root, partialDirectory)))
  await adoptEarlierObjects(root, (key, file) => store.adopt(key, file))
  return store
}

class DirectoryStore implements ObjectStore {
  readonly #root: string
  readonly #incoming: IncomingFiles
  readonly #partial: PartialFiles

  constructor(root: string, incoming: IncomingFiles, partial: PartialFiles) {
    this.#root = root
    this.#incoming = incoming
    this.#partial = partial
  }

  async put(key: string, body: Readable | Buffer, { signal }: PutOptions = {}): Promise<{ size: number }> {
    const target = this.#pathOf(key)
    const temporary = this.#incoming.newPath()
    try {
      const size = await writeDurably(temporary, body, signal)
      await placeIn(target, () => rename(temporary, target))
      return { size }
    } catch (error) {
      await rm(temporary, { force: true })
      signal?.throwIfAborted()
      throw error
    }
  }

  async putIfAbsent(key: string, body: Buffer): Promise<boolean> {
    const target = this.#pathOf(key)
    const temporary = this.#incoming.newPath()
    try {
      await writeDurably(temporary, body)
      return await placeIn(target, () => linkIfAbsent(temporary, target))
    } finally {
      await rm(temporary, { force: true })
    }
  }

  /** Stores bytes that were stored at a time before, unless there are others. */
  async adopt(key: string, { body, modifiedAt }: { body: Readable; modifiedAt: Date }): Promise<void> {
    const target = this.#pathOf(key)
    const temporary = this.#incoming.newPath()
    try {
      await writeDurably(temporary, body)
      await utimes(temporary, modifiedAt, modifiedAt)
      await placeIn(target, () => linkIfAbsent(temporary, target))
    } finally {
      await rm(temporary, { force: true })
    }
  }

  async get(key: string, range: ByteRange = {}): Promise<Readable> {
    const reader = await this.#open(key, range)
    return readerStream(reader, reader.left)
  }

  async openRange(key: string, range: Required<ByteRange>): Promise<RangeReader> {
    return this.#open(key, range)
  }

  async #open(key: string, range: ByteRange): Promise<RangeReader & { left: number }> {
    assertByteRange(range)
    const path = this.#pathOf(key)
    const reader = await asObject(key, CheckedFileReader.open(path, range))
    return {
      left: reader.left,
      read: (buffer) => asObject(key, reader.read(buffer)),
      [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
    }
  }

  async join(
    key: string,
    pieces: readonly Piece[],
    options?: PutOptions,
  ): Promise<{ size: number; copied: number }> {
    return { ...(await this.put(key, streamPieces(this, pieces), options)), copied: 0 }
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    return statFile(this.#pathOf(key))
  }

  async remove(key: string): Promise<void> {
    const path = this.#pathOf(key)
    try {
      await unlink(path)
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return
      throw error
    }
    await this.#removeEmptyDirectories(dirname(path))
  }

  async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    assertKeyPrefix(prefix)
    const directory = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    yield* this.#walk(directory, prefix)
  }

  beginParts(key: string): Promise<PartialObject> {
    assertObjectKey(key)
    return Promise.resolve({ key, uploadId: randomUUID() })
  }

  async putPart({ uploadId }: PartialObject, number: number, bytes: Buffer): Promise<void> {
    await this.#partial.write(uploadId, number, bytes)
  }

  async completeParts({ key, uploadId }: PartialObject, { size }: { size: number }): Promise<void> {
    const target = this.#pathOf(key)
    if (await this.#partial.finish(uploadId, size)) {
      await placeIn(target, () => rename(this.#partial.pathOf(uploadId), target))
      // Completed before, by a call that perhaps could not know it.
    } else if ((await this.stat(key))?.size !== size) throw new NoSuchObject(key)
    await this.#partial.remove(uploadId)
  }

  async abortParts({ uploadId }: PartialObject): Promise<void> {
    await this.#partial.remove(uploadId)
  }

  async check(): Promise<void> {
    await access(this.#root, constants.R_OK | constants.W_OK)
  }

  /** A directory is there or it is not: nothing is gained by waiting. */
  patient(): ObjectStore {
    return this
  }

  /** Lists a directory, given with its final slash (or as '' for the root). */
  async *#walk(directory: string, prefix: string): AsyncGenerator<ObjectEntry> {
    for (const key of await listNames(join(this.#root, directory), directory)) {
      if (key.endsWith('/')) {
        if (key.startsWith(prefix) || prefix.startsWith(key)) yield* this.#walk(key, prefix)
      } else if (key.startsWith(prefix)) {
        const found = await statFile(join(this.#root, key))
        if (found !== undefined) yield { key, ...found }
      }
    }
  }

  async #removeEmptyDirectories(directory: string): Promise<void> {
    for (let current = directory; current !== this.#root; current = dirname(current)) {
      try {
        await rmdir(current)
      } catch (error) {
        if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) return
        throw error
      }
    }
  }

  #pathOf(key: string): string {
    assertObjectKey(key)
    return join(this.#root, key)
  }
}

/** Writes a new file with its sums and syncs it to the disk; returns how many bytes the content has. */
async function writeDurably(path: string, body: Readable | Buffer, signal?: AbortSignal): Promise<number> {
  const source = Buffer.isBuffer(body) ? Readable.from([body], { objectMode: false }) : body
  const file = createWriteStream(path, { flags: 'wx', flush: true, mode: fileMode })
  const sums = new BlockSums()
  const withSums = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      sums.add(chunk)
      yield chunk
    }
    yield sums.trailer()
  }
  try {
    await pipeline(source, withSums, file, { signal })
  } finally {
    // A source that fails at once must not leave a file that is made after the caller removed it.
    if (!file.closed) await once(file, 'close')
  }
  return sums.size
}

/** Says of an object what is wrong with its file. */
async function asObject<Result>(key: string, operation: Promise<Result>): Promise<Result> {
  try {
    return await operation
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) throw new NoSuchObject(key, { cause: error })
    // The disk itself cannot read what it has.
    if (isErrno(error, 'EIO')) throw new DamagedObject(key, 0, { cause: error })
    if (error instanceof DamagedFile) throw new DamagedObject(key, error.offset, { cause: error })
    throw error
  }
}

/** How often a directory may be removed by another process between its making and its use. */
const maximumAttempts = 20

/** Runs `place`, which puts a file at the target, with the directory there, and syncs that directory. */
async function placeIn<Result>(target: string, place: () => Promise<Result>): Promise<Result> {
  const directory = dirname(target)
  for (let attempt = 1; ; attempt += 1) {
    try {
      await mkdir(directory, { recursive: true, mode: directoryMode })
      const result = await place()
      await syncDirectory(directory)
      return result
    } catch (error) {
      // Removing an object removes the directories it leaves empty, so the new one may be gone again, or one above it
      // while it is made.
      if (!isErrno(error, 'ENOENT') || attempt === maximumAttempts) throw error
    }
  }
}

async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
}

async function syncDirectory(directory: string): Promise<void> {
  try {
    await using handle = await open(directory)
    await handle.sync()
  } catch (error) {
    // The object was removed again in the meantime, and its directory with it.
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

async function statFile(path: string): Promise<ObjectStat | undefined> {
  try {
    const found = await stat(path)
    // What is damaged so much that it has no size is found out by whoever reads it.
    return found.isFile()
      ? { size: contentSize(found.size) ?? found.size, modifiedAt: found.mtime }
      : undefined
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** The keys in a directory in byte order, those of directories with a final slash. */
async function listNames(path: string, directory: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true })
    return entries
      .filter((entry) => !entry.name.startsWith('.'))
      .map((entry) => `${directory}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .sort((a, b) => (a < b ? -1 : 1))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
