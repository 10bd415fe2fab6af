import { Role, Scope, scopesOf } from '@edgesmith/contract/access'
import { ApiKeyId, type ApiKey, type ApiKeyPage } from '@edgesmith/contract/api-key'
import { Sha256Hex, Timestamp } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import { ProjectId, TenantId } from '@edgesmith/contract/project'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { noVersion, readVersioned, writeVersioned, type Versioned } from '@edgesmith/store/versioned-json'
import { Type, type Static } from 'typebox'
import { formatKey, hasHash, hashSecret, newKeyText, type KeyText } from './key-text.ts'
import type { RecordCache } from './record-cache.ts'

/** An API key as it is stored: of its secrets the hashes alone. */
export const ApiKeyRecord = Type.Object({
  id: ApiKeyId,
  name: Type.String(),
  tenant: TenantId,
  project: Type.Optional(ProjectId),
  role: Role,
  scopes: Type.Optional(Type.Array(Scope)),
  createdAt: Timestamp,
  createdBy: Type.String(),
  expiresAt: Type.Optional(Timestamp),
  secretHash: Sha256Hex,
  rotatedAt: Type.Optional(Timestamp),
  previous: Type.Optional(Type.Object({ secretHash: Sha256Hex, until: Timestamp })),
  revokedAt: Type.Optional(Timestamp),
  /** Set by `BOOTSTRAP_API_KEY`, and changed by nothing else. */
  configured: Type.Optional(Type.Literal(true)),
})
export type ApiKeyRecord = Static<typeof ApiKeyRecord>

/** What a new key is to be. */
export type NewKey = Pick<ApiKeyRecord, 'name' | 'tenant' | 'role' | 'createdBy'> &
  Partial<Pick<ApiKeyRecord, 'project' | 'scopes' | 'expiresAt' | 'configured'>>

const recordsPrefix = 'identity/keys/'
/** Which keys a tenant has; one without a record is of a creation that broke off. */
const tenantsPrefix = 'identity/keys-of/'

/** The API keys of all tenants. */
export class ApiKeys {
  readonly #store: ObjectStore
  readonly #cache: RecordCache

  constructor({ store, cache }: { store: ObjectStore; cache: RecordCache }) {
    this.#store = store
    this.#cache = cache
  }

  /** The record of a key, undefined where there is none. */
  find(id: string): Promise<ApiKeyRecord | undefined> {
    return this.#cache.read(cacheName(id), ApiKeyRecord, () => readRecord(this.#store, id))
  }

  /** The keys of a tenant that a filter lets through, by their identifiers. */
  async list(
    tenant: string,
    { limit, cursor = '' }: { limit: number; cursor?: string | undefined },
    isWanted: (key: ApiKeyRecord) => boolean,
  ): Promise<ApiKeyPage> {
    const items: ApiKey[] = []
    for await (const record of this.records(tenant, { after: cursor })) {
      if (!isWanted(record)) continue
      const last = items.at(-1)
      if (items.length === limit && last !== undefined) return { items, nextCursor: last.id }
      items.push(describeKey(record))
    }
    return { items }
  }

  /** All keys of a tenant whose identifier comes after a given one, revoked ones too. */
  async *records(tenant: string, { after = '' } = {}): AsyncGenerator<ApiKeyRecord> {
    const prefix = `${tenantsPrefix}${tenant}/`
    for await (const { key } of this.#store.list(prefix)) {
      const id = key.slice(prefix.length)
      const record = id > after ? (await readRecord(this.#store, id))?.value : undefined
      if (record !== undefined) yield record
    }
  }

  /**
   * Makes a key; its text is known to the caller alone.
   * @throws ProblemError `upstream-unavailable` while Redis is away
   */
  async create(given: NewKey): Promise<{ record: ApiKeyRecord; key: string }> {
    await this.#cache.assertReachable()
    const text = newKeyText()
    const record = recordOf(given, text)
    if (!(await this.#insert(record))) throw new Error(`There is an API key ${record.id} already.`)
    return { record, key: formatKey(text) }
  }

  /** Makes a key of a text given; whether there was none of its identifier. */
  createOf(text: KeyText, given: NewKey): Promise<boolean> {
    return this.#insert(recordOf(given, text))
  }

  /**
   * Gives a key another secret; the one before is accepted for `graceMs` longer.
   * @throws ProblemError `key-not-found`, `key-revoked`; `upstream-unavailable` while Redis is away
   */
  async rotate(id: string, { graceMs }: { graceMs: number }): Promise<{ record: ApiKeyRecord; key: string }> {
    await this.#cache.assertReachable()
    const text = newKeyText(id)
    const now = Date.now()
    const record = await this.update(id, ({ previous: _older, ...key }) => {
      if (key.revokedAt !== undefined) {
        throw new ProblemError('key-revoked', `The API key ${id} has been revoked; create another one.`)
      }
      return {
        ...key,
        secretHash: hashSecret(text.secret),
        rotatedAt: new Date(now).toISOString(),
        ...(graceMs === 0
          ? {}
          : { previous: { secretHash: key.secretHash, until: new Date(now + graceMs).toISOString() } }),
      }
    })
    return { record, key: formatKey(text) }
  }

  /**
   * Ends a key for good. Once more does no harm.
   * @throws ProblemError `key-not-found`; `upstream-unavailable` when the key is revoked, and another process
   * may not know it yet
   */
  async revoke(id: string): Promise<void> {
    await this.update(id, (key) => ({ ...key, revokedAt: key.revokedAt ?? new Date().toISOString() }))
  }

  /**
   * Changes a record by compare-and-set, as often as another writer is first.
   * @throws ProblemError `key-not-found`
   */
  async update(id: string, update: (key: ApiKeyRecord) => ApiKeyRecord): Promise<ApiKeyRecord> {
    for (;;) {
      const read = await readRecord(this.#store, id)
      if (read === undefined) throw keyNotFound(id)
      const value = update(read.value)
      if (!(await writeVersioned(this.#store, prefixOf(id), { value, version: read.version }))) continue
      await this.#cache.replace(cacheName(id), { value, version: read.version + 1 })
      return value
    }
  }

  async #insert(record: ApiKeyRecord): Promise<boolean> {
    await this.#store.put(`${tenantsPrefix}${record.tenant}/${record.id}`, Buffer.alloc(0))
    if (!(await writeVersioned(this.#store, prefixOf(record.id), { value: record, version: noVersion }))) {
      return false
    }
    await this.#cache.replace(cacheName(record.id), { value: record, version: noVersion + 1 })
    return true
  }
}

/** Whether any tenant has a key that was not revoked and has not expired. */
export async function hasUsableKey(store: ObjectStore, now = Date.now()): Promise<boolean> {
  let previous = ''
  for await (const { key } of store.list(recordsPrefix)) {
    const id = key.slice(recordsPrefix.length).split('/', 1)[0] ?? ''
    if (id === previous) continue
    previous = id
    const record = (await readRecord(store, id))?.value
    if (record !== undefined && isUsable(record, now)) return true
  }
  return false
}

/** Whether a key lives: it was not revoked and has not expired. */
export function isUsable({ revokedAt, expiresAt }: ApiKeyRecord, now = Date.now()): boolean {
  return revokedAt === undefined && (expiresAt === undefined || Date.parse(expiresAt) > now)
}

/** Whether a secret is that of a key: the newest, or the one before within its grace. */
export function accepts(key: ApiKeyRecord, { secret }: KeyText, now = Date.now()): boolean {
  if (hasHash(secret, key.secretHash)) return true
  const { previous } = key
  return previous !== undefined && Date.parse(previous.until) > now && hasHash(secret, previous.secretHash)
}

/** What a key may be used for. */
export function scopesOfKey({
  role,
  scopes,
  project,
}: Pick<ApiKeyRecord, 'role' | 'scopes' | 'project'>): Scope[] {
  return scopesOf(role, { scopes, oneProject: project !== undefined })
}

/** A key as it is told of: without its hashes. */
export function describeKey(record: ApiKeyRecord): ApiKey {
  const { secretHash: _hash, previous, configured: _configured, ...told } = record
  return {
    ...told,
    scopes: scopesOfKey(record),
    ...(previous === undefined ? {} : { graceUntil: previous.until }),
  }
}

/** The problem of a key that there is not, or not for the one who asks. */
export function keyNotFound(id: string): ProblemError {
  return new ProblemError('key-not-found', `There is no API key ${id}.`)
}

function recordOf(given: NewKey, { id, secret }: KeyText): ApiKeyRecord {
  return { ...given, id, createdAt: new Date().toISOString(), secretHash: hashSecret(secret) }
}

function readRecord(store: ObjectStore, id: string): Promise<Versioned<ApiKeyRecord> | undefined> {
  return readVersioned(store, prefixOf(id), ApiKeyRecord)
}

function prefixOf(id: string): string {
  return `${recordsPrefix}${id}/`
}

function cacheName(id: string): string {
  return `key:${id}`
}
