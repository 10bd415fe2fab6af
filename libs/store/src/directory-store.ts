import { randomUUID } from 'node:crypto'
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
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isErrno } from './errno.ts'
import { IncomingFiles } from './incoming-files.ts'
import { assertByteRange, assertKeyPrefix, assertObjectKey, NoSuchObject } from './object-store.ts'
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
import { FileRangeReader } from './range-reader.ts'
import type { RangeReader } from './range-reader.ts'

// These begin with a dot, as no object key does.
const incomingDirectory = '.incoming'
const partialDirectory = '.partial'

// Objects hold secrets, such as the registration tokens in user-data.
const fileMode = 0o600
const directoryMode = 0o700

/**
 * Opens a directory as an object store and makes it where missing. Each object is a file whose path
 * is its key. Several processes of one machine can share it. Files that a crashed process did not
 * finish are removed.
 */
export async function openDirectoryStore(path: string): Promise<ObjectStore> {
  const root = resolve(path)
  await mkdir(root, { recursive: true, mode: directoryMode })
  const incoming = await IncomingFiles.open(join(root, incomingDirectory))
  return new DirectoryStore(root, incoming, new PartialFiles(join(root, partialDirectory)))
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

  async get(key: string, range: ByteRange = {}): Promise<Readable> {
    assertByteRange(range)
    const { offset = 0, length } = range
    const path = this.#pathOf(key)
    if ((await this.stat(key)) === undefined) throw new NoSuchObject(key)
    if (length === 0) return Readable.from([], { objectMode: false })
    try {
      const file = await open(path)
      return file.createReadStream({
        start: offset,
        end: length === undefined ? Number.POSITIVE_INFINITY : offset + length - 1,
      })
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw new NoSuchObject(key, { cause: error })
      throw error
    }
  }

  async openRange(key: string, range: Required<ByteRange>): Promise<RangeReader> {
    assertByteRange(range)
    const path = this.#pathOf(key)
    try {
      return new FileRangeReader(await open(path), range)
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw new NoSuchObject(key, { cause: error })
      throw error
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
  }

  async abortParts({ uploadId }: PartialObject): Promise<void> {
    await this.#partial.remove(uploadId)
  }

  async check(): Promise<void> {
    await access(join(this.#root, incomingDirectory), constants.R_OK | constants.W_OK)
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

/** Writes a new file and syncs it to the disk; returns its size in bytes. */
async function writeDurably(path: string, body: Readable | Buffer, signal?: AbortSignal): Promise<number> {
  const source = Buffer.isBuffer(body) ? Readable.from([body], { objectMode: false }) : body
  const file = createWriteStream(path, { flags: 'wx', flush: true, mode: fileMode })
  await pipeline(source, file, { signal })
  return file.bytesWritten
}

/** How often a directory may be removed by another process between its making and its use. */
const maximumAttempts = 20

/** Runs `place`, which puts a file at the target, with the directory there, and syncs that directory. */
async function placeIn<Result>(target: string, place: () => Promise<Result>): Promise<Result> {
  const directory = dirname(target)
  for (let attempt = 1; ; attempt += 1) {
    await mkdir(directory, { recursive: true, mode: directoryMode })
    try {
      const result = await place()
      await syncDirectory(directory)
      return result
    } catch (error) {
      // Removing an object removes the directories it leaves empty, so the new one may be gone again.
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
    return found.isFile() ? { size: found.size, modifiedAt: found.mtime } : undefined
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
