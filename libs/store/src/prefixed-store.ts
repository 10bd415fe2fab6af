import type { Readable } from 'node:stream'
import { assertKeyPrefix, assertObjectKey, NoSuchObject } from './object-store.ts'
import type {
  ByteRange,
  ObjectEntry,
  ObjectStat,
  ObjectStore,
  PartialObject,
  PutOptions,
} from './object-store.ts'
import type { Piece } from './pieces.ts'
import type { RangeReader, RangeSource } from './range-reader.ts'

/**
 * The objects of a store whose keys begin with a prefix, under the rest of their keys. Keys are checked
 * before the prefix comes to them: none leads out of it.
 */
export function prefixedStore(store: ObjectStore, prefix: string): ObjectStore {
  assertKeyPrefix(prefix)
  return new PrefixedStore(store, prefix)
}

/** The same for what ranges are read of. */
export function prefixedSource(source: RangeSource, prefix: string): RangeSource {
  assertKeyPrefix(prefix)
  return { openRange: (key, range) => source.openRange(within(prefix, key), range) }
}

function within(prefix: string, key: string): string {
  assertObjectKey(key)
  return `${prefix}${key}`
}

class PrefixedStore implements ObjectStore {
  readonly #store: ObjectStore
  readonly #prefix: string

  constructor(store: ObjectStore, prefix: string) {
    this.#store = store
    this.#prefix = prefix
  }

  put(key: string, body: Readable | Buffer, options?: PutOptions): Promise<{ size: number }> {
    return this.#own(() => this.#store.put(this.#within(key), body, options))
  }

  putIfAbsent(key: string, body: Buffer): Promise<boolean> {
    return this.#own(() => this.#store.putIfAbsent(this.#within(key), body))
  }

  get(key: string, range?: ByteRange): Promise<Readable> {
    return this.#own(() => this.#store.get(this.#within(key), range))
  }

  openRange(key: string, range: Required<ByteRange>): Promise<RangeReader> {
    return this.#own(() => this.#store.openRange(this.#within(key), range))
  }

  join(
    key: string,
    pieces: readonly Piece[],
    options?: PutOptions,
  ): Promise<{ size: number; copied: number }> {
    return this.#own(() => {
      const own = pieces.map((piece) =>
        'object' in piece ? { ...piece, object: this.#within(piece.object) } : piece,
      )
      return this.#store.join(this.#within(key), own, options)
    })
  }

  stat(key: string): Promise<ObjectStat | undefined> {
    return this.#own(() => this.#store.stat(this.#within(key)))
  }

  remove(key: string): Promise<void> {
    return this.#own(() => this.#store.remove(this.#within(key)))
  }

  async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    assertKeyPrefix(prefix)
    for await (const entry of this.#store.list(`${this.#prefix}${prefix}`)) {
      yield { ...entry, key: entry.key.slice(this.#prefix.length) }
    }
  }

  async beginParts(key: string): Promise<PartialObject> {
    const { uploadId } = await this.#store.beginParts(this.#within(key))
    return { key, uploadId }
  }

  putPart(target: PartialObject, number: number, bytes: Buffer): Promise<void> {
    return this.#own(() => this.#store.putPart(this.#target(target), number, bytes))
  }

  completeParts(target: PartialObject, parts: { count: number; size: number }): Promise<void> {
    return this.#own(() => this.#store.completeParts(this.#target(target), parts))
  }

  abortParts(target: PartialObject): Promise<void> {
    return this.#own(() => this.#store.abortParts(this.#target(target)))
  }

  check(): Promise<void> {
    return this.#store.check()
  }

  patient(signal?: AbortSignal): ObjectStore {
    return new PrefixedStore(this.#store.patient(signal), this.#prefix)
  }

  /** Faults, too, know the key without the prefix. */
  async #own<Result>(operation: () => Promise<Result>): Promise<Result> {
    try {
      return await operation()
    } catch (error) {
      if (!(error instanceof NoSuchObject) || !error.key.startsWith(this.#prefix)) throw error
      throw new NoSuchObject(error.key.slice(this.#prefix.length), { cause: error })
    }
  }

  #within(key: string): string {
    return within(this.#prefix, key)
  }

  #target({ key, uploadId }: PartialObject): PartialObject {
    return { key: this.#within(key), uploadId }
  }
}
