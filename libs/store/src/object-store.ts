import type { Readable } from 'node:stream'
import type { Piece } from './pieces.ts'
import type { RangeReader } from './range-reader.ts'

/** What a listing says of one object. */
export type ObjectEntry = { key: string; size: number; modifiedAt: Date }

/** What is known of an object without reading it; `size` is in bytes. */
export type ObjectStat = Omit<ObjectEntry, 'key'>

export type PutOptions = {
  /** Media type, kept where the store has a place for it. */
  contentType?: string
  /** Ends the put; it then rejects with the signal's reason. */
  signal?: AbortSignal
}

/** A part of an object, in bytes; by default from the first byte to the last. */
export type ByteRange = { offset?: number; length?: number }

/** An object under construction; whoever began it keeps these to go on with it, in any process. */
export type PartialObject = { key: string; uploadId: string }

/**
 * Named byte strings. An object appears whole or not at all: readers see the old content or the
 * new, never a mixture, and a put that fails leaves nothing behind.
 *
 * Keys follow `assertObjectKey`; a key cannot also be the directory part of another.
 *
 * Bytes are checked when they are read: whatever reads an object throws `DamagedObject`, or lets its stream
 * fail with it, instead of yielding bytes that were not stored. What a store that is away can throw is
 * `StoreUnavailable`: transfers (a stream that is put, parts, joins, a read that has begun) after a patience
 * of minutes, the rest within seconds.
 */
export interface ObjectStore {
  /**
   * Stores the bytes under the key, in place of any there before, and returns how many they were.
   * A stream is read with back-pressure and in bounded memory; it is destroyed when the put fails.
   */
  put(key: string, body: Readable | Buffer, options?: PutOptions): Promise<{ size: number }>

  /**
   * Stores the bytes only where the key has none: of any number of callers exactly one gets true.
   * After an error it is not known whether the bytes were stored.
   */
  putIfAbsent(key: string, body: Buffer): Promise<boolean>

  /**
   * Opens an object for reading. A range that begins behind the end is empty. The caller reads the
   * stream to its end or destroys it. Throws `NoSuchObject`.
   */
  get(key: string, range?: ByteRange): Promise<Readable>

  /**
   * Opens a range of an object to be read into buffers; it ends with the object where that is shorter. The
   * caller disposes of the reader. Throws `NoSuchObject`.
   */
  openRange(key: string, range: Required<ByteRange>): Promise<RangeReader>

  /**
   * Makes an object of pieces of others, in place of any there before. MinIO copies large pieces by itself;
   * `copied` is how many bytes did not pass through this process. Throws `NoSuchObject` for a piece of an
   * object that is not there.
   */
  join(key: string, pieces: readonly Piece[], options?: PutOptions): Promise<{ size: number; copied: number }>

  stat(key: string): Promise<ObjectStat | undefined>

  /** Removes an object; one that isn't there is no error. */
  remove(key: string): Promise<void>

  /** Lists the objects whose key begins with the prefix, in the order of their keys' bytes. */
  list(prefix: string): AsyncIterable<ObjectEntry>

  /**
   * Begins an object that is sent in parts, by one process or by several one after the other. It
   * appears when it is completed; until then it is to be kept in mind, and completed or aborted.
   */
  beginParts(key: string): Promise<PartialObject>

  /**
   * Stores a part, in place of any of that number before; it is durable once this returns. Parts count
   * from 1, have `partSize(number)` bytes but for the last, and are sent one at a time. Throws
   * `NoSuchObject` when the object was aborted or, in MinIO, given up (`stale_uploads_expiry`).
   */
  putPart(target: PartialObject, number: number, bytes: Buffer): Promise<void>

  /**
   * Makes the object of its first parts, which hold `size` bytes together; their bytes are not copied.
   * Once more does no harm. Throws `NoSuchObject` when there is neither the object nor its parts.
   */
  completeParts(target: PartialObject, parts: { count: number; size: number }): Promise<void>

  /** Removes the parts of an object that is not going to be completed; none there are no error. */
  abortParts(target: PartialObject): Promise<void>

  /** Throws when the store cannot be used now. */
  check(): Promise<void>

  /**
   * The same objects for work that can wait: where the store is away, what would otherwise fail within
   * seconds waits for it like the transfers do. Until the signal is aborted, where one is given.
   */
  patient(signal?: AbortSignal): ObjectStore
}

/** There is no object under the key. */
export class NoSuchObject extends Error {
  override name = 'NoSuchObject'
  readonly key: string

  constructor(key: string, options?: ErrorOptions) {
    super(`There is no object ${key}.`, options)
    this.key = key
  }
}

/**
 * The bytes of an object are not those that were stored. Of an object that is read as a stream, those before
 * the damage may have been read.
 */
export class DamagedObject extends Error {
  override name = 'DamagedObject'
  readonly key: string

  constructor(key: string, offset: number, options?: ErrorOptions) {
    super(`The stored bytes of the object ${key} are damaged at or behind byte ${offset}.`, options)
    this.key = key
  }

  /** Whether this is about an object, which a part of the store below a prefix knows by a shorter key. */
  isOf(key: string): boolean {
    return this.key === key || this.key.endsWith(`/${key}`)
  }
}

const keyPattern = /^[A-Za-z0-9_][A-Za-z0-9._+:-]*(\/[A-Za-z0-9_][A-Za-z0-9._+:-]*)*$/
const prefixPattern = /^([A-Za-z0-9_][A-Za-z0-9._+:-]*\/)*([A-Za-z0-9_][A-Za-z0-9._+:-]*)?$/
const maximumKeyLength = 1024

/**
 * Refuses a key that is not segments of letters, digits and `._+:-` joined by single slashes, none
 * beginning with a dot or a sign, and at most 1024 characters together: such keys mean the same in
 * a directory and in S3. Throws a `RangeError`.
 */
export function assertObjectKey(key: string): void {
  if (key.length > maximumKeyLength || !keyPattern.test(key)) {
    throw new RangeError(`${JSON.stringify(key)} is not an object key.`)
  }
}

/** Refuses a prefix with which no object key can begin. Throws a `RangeError`. */
export function assertKeyPrefix(prefix: string): void {
  if (prefix.length > maximumKeyLength || !prefixPattern.test(prefix)) {
    throw new RangeError(`${JSON.stringify(prefix)} is not the beginning of an object key.`)
  }
}

/** Refuses a range that is not made of whole, non-negative numbers. Throws a `RangeError`. */
export function assertByteRange({ offset = 0, length = 0 }: ByteRange): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < 0) {
    throw new RangeError(`offset ${offset} and length ${length} are not a range of bytes.`)
  }
}
