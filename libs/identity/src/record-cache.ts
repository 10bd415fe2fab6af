import { ProblemError } from '@edgesmith/contract/problem'
import { validatorOf } from '@edgesmith/store/validator-of'
import type { Versioned } from '@edgesmith/store/versioned-json'
import type { Redis } from 'ioredis'
import type { Static, TSchema } from 'typebox'

/** How long a record that was read from the object store is taken for granted, in seconds. */
const readSeconds = 30

/**
 * How long a record that was written is kept, in seconds: longer than any request lives, so that one that read
 * the record before it was changed finds the newer version here and does not put its own in its place.
 */
const writtenSeconds = 3600

/** How long Redis is waited for before the object store is asked instead, in milliseconds. */
const patienceMs = 500

/** Keeps a record unless a version as new is there. KEYS: the record. ARGV: it, its version, seconds. */
const keepNewest = `
local kept = redis.call('GET', KEYS[1])
if kept and cjson.decode(kept).version >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return 1`

/**
 * Records of the object store, kept in Redis for a while. All processes see what one of them changed at once,
 * because it tells so here; while Redis is away each asks the object store.
 */
export class RecordCache {
  readonly #redis: Redis

  constructor(redis: Redis) {
    this.#redis = redis
  }

  /** A record from Redis, else from `load`, which reads the object store. */
  async read<Schema extends TSchema>(
    name: string,
    schema: Schema,
    load: () => Promise<Versioned<Static<Schema>> | undefined>,
  ): Promise<Static<Schema> | undefined> {
    const kept = await this.#kept(name)
    const parsed = kept === undefined ? undefined : parse(kept, schema)
    if (parsed !== undefined) return parsed.value
    const loaded = await load()
    if (loaded !== undefined && this.#isThere()) {
      // What cannot be kept is read from the object store again.
      void this.#keep(name, loaded, readSeconds).catch(() => undefined)
    }
    return loaded?.value
  }

  /**
   * Lets all processes see a record that was written.
   * @throws ProblemError `upstream-unavailable` when that cannot be told now: others may go by the record as
   * it was for half a minute
   */
  async replace(name: string, written: Versioned<unknown>): Promise<void> {
    try {
      await this.#keep(name, written, writtenSeconds)
    } catch (cause) {
      throw new ProblemError(
        'upstream-unavailable',
        'The change is stored, and takes effect within half a minute: the cache of the service cannot be reached now. Repeat the request to have it take effect everywhere at once.',
        { cause, headers: { 'retry-after': '5' } },
      )
    }
  }

  /**
   * Makes sure that other processes can be told of a change, before one is made whose answer cannot be had twice.
   * @throws ProblemError `upstream-unavailable`
   */
  async assertReachable(): Promise<void> {
    if (
      this.#isThere() &&
      (await within(
        patienceMs,
        this.#redis.ping().catch(() => null),
      )) === 'PONG'
    )
      return
    throw new ProblemError(
      'upstream-unavailable',
      'The cache of the service cannot be reached now, and nothing was changed.',
      { headers: { 'retry-after': '5' } },
    )
  }

  async #keep(name: string, record: Versioned<unknown>, seconds: number): Promise<void> {
    await this.#redis.eval(
      keepNewest,
      1,
      keyOf(name),
      JSON.stringify({ version: record.version, value: record.value }),
      record.version,
      seconds,
    )
  }

  async #kept(name: string): Promise<string | undefined> {
    if (!this.#isThere()) return undefined
    try {
      return await within(patienceMs, this.#redis.get(keyOf(name)))
    } catch {
      return undefined
    }
  }

  #isThere(): boolean {
    return this.#redis.status === 'ready'
  }
}

/** What a promise answers in time, if anything. */
async function within(ms: number, asked: Promise<string | null>): Promise<string | undefined> {
  const timeout = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => {
    timeout.resolve(undefined)
  }, ms)
  try {
    return (await Promise.race([asked, timeout.promise])) ?? undefined
  } finally {
    clearTimeout(timer)
  }
}

/** A record as it was kept; undefined where another version of the service kept it in another shape. */
function parse<Schema extends TSchema>(text: string, schema: Schema): { value: Static<Schema> } | undefined {
  const kept = JSON.parse(text) as { value: unknown }
  return validatorOf(schema).Check(kept.value) ? { value: kept.value } : undefined
}

function keyOf(name: string): string {
  return `edgesmith:identity:${name}`
}
