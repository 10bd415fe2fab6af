import type { ProjectRef } from '@edgesmith/contract/project'
import { ProblemError } from '@edgesmith/contract/problem'
import { Sealed, Secret, SecretValue } from '@edgesmith/contract/secret'
import { DamagedJson, readJson, writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { v7 as uuidv7 } from 'uuid'
import { UnsealError, type Keyring, type Purpose } from './keyring.ts'

/** The secrets of one project. */
export type Vault = {
  readonly project: ProjectRef
  /** The project's own part of the object store. */
  readonly store: ObjectStore
  /** Undefined where no keys are configured. */
  readonly keyring: Keyring | undefined
}

/** A secret as it is stored. */
export const SecretRecord = Type.Object(
  {
    ...Type.Omit(Secret, ['state', 'keyId']).properties,
    sealed: Sealed,
  },
  { additionalProperties: false },
)

export type SecretRecord = Static<typeof SecretRecord>

export const secretsPrefix = 'secrets/'

/** Where a secret is in the store of its project. */
export function secretKey(name: string): string {
  return `${secretsPrefix}${name}.json`
}

/**
 * Sets a secret, in place of any of that name before.
 * @throws ProblemError `secrets-unavailable`
 */
export async function putSecret(
  vault: Vault,
  name: string,
  value: SecretValue,
  at: Date,
): Promise<{ secret: Secret; created: boolean }> {
  const keyring = requireKeyring(vault)
  const before = await readRecord(vault, name).catch((error: unknown) => {
    if (error instanceof ProblemError && error.code === 'secret-damaged') return undefined
    throw error
  })
  const said = {
    name,
    kind: value.kind,
    ...(value.kind === 'registry' ? { registry: value.registry } : {}),
    version: uuidv7(),
    createdAt: before?.createdAt ?? at.toISOString(),
    updatedAt: at.toISOString(),
  }
  const record = { ...said, sealed: keyring.seal(JSON.stringify(value), purposeOf(vault.project, said)) }
  await writeJson(vault.store, secretKey(name), record)
  return { secret: describe(vault, record), created: before === undefined }
}

/** What is told of a secret. @throws ProblemError `secret-not-found` */
export async function getSecret(vault: Vault, name: string): Promise<Secret> {
  const record = await readRecord(vault, name)
  if (record === undefined) throw noSuchSecret(name)
  return describe(vault, record)
}

/** What is told of all secrets, by their names. */
export async function listSecrets(vault: Vault): Promise<Secret[]> {
  const secrets: Secret[] = []
  for await (const { key } of vault.store.list(secretsPrefix)) {
    const record = await readRecord(vault, key.slice(secretsPrefix.length, -'.json'.length))
    if (record !== undefined) secrets.push(describe(vault, record))
  }
  return secrets
}

/** Removes a secret. @throws ProblemError `secret-not-found` */
export async function removeSecret(vault: Vault, name: string): Promise<void> {
  if ((await vault.store.stat(secretKey(name))) === undefined) throw noSuchSecret(name)
  await vault.store.remove(secretKey(name))
}

/** A secret with what it holds. */
export type OpenedSecret = { readonly name: string; readonly version: string; readonly value: SecretValue }

/**
 * Opens a secret; undefined where there is none of the name.
 * @throws UnsealError when its key is not there, or it is not what was sealed; ProblemError `secrets-unavailable`
 */
export async function openSecret(vault: Vault, name: string): Promise<OpenedSecret | undefined> {
  const keyring = requireKeyring(vault)
  const record = await readRecord(vault, name)
  return record === undefined
    ? undefined
    : { name, version: record.version, value: unseal(vault, keyring, record) }
}

/** @throws ProblemError `secrets-unavailable` when there are no keys */
export function requireKeyring({ keyring }: Pick<Vault, 'keyring'>): Keyring {
  if (keyring !== undefined) return keyring
  throw new ProblemError(
    'secrets-unavailable',
    'The service has no key to seal secrets with. The operator sets SECRETS_KEYS or SECRETS_KEY_FILE.',
  )
}

/** All that is told of a secret, and whose it is: a record that was changed or moved is not unsealed. */
export function purposeOf(
  { tenant, project }: ProjectRef,
  { name, kind, registry, version }: Pick<SecretRecord, 'name' | 'kind' | 'registry' | 'version'>,
): Purpose {
  return ['secret', tenant, project, name, version, kind, registry ?? '']
}

function unseal({ project }: Vault, keyring: Keyring, record: SecretRecord): SecretValue {
  const value: unknown = JSON.parse(keyring.unseal(record.sealed, purposeOf(project, record)))
  return Value.Parse(SecretValue, value)
}

/** @throws ProblemError `secret-damaged` for an object that is no record of a secret */
async function readRecord({ store }: Vault, name: string): Promise<SecretRecord | undefined> {
  try {
    const record = await readJson(store, secretKey(name), SecretRecord)
    // A record that was moved is not unsealed: the name that it was sealed for is another.
    return record === undefined ? undefined : { ...record, name }
  } catch (error) {
    if (!(error instanceof DamagedJson)) throw error
    throw new ProblemError(
      'secret-damaged',
      `What is stored of the secret ${name} is damaged. Set it anew, or delete it.`,
      { cause: error },
    )
  }
}

function describe(vault: Vault, record: SecretRecord): Secret {
  const { sealed, ...said } = record
  return { ...said, keyId: sealed.keyId, state: stateOf(vault, record) }
}

function stateOf(vault: Vault, record: SecretRecord): Secret['state'] {
  if (vault.keyring === undefined) return 'unknown-key'
  try {
    unseal(vault, vault.keyring, record)
    return 'usable'
  } catch (error) {
    if (error instanceof UnsealError) return error.reason
    throw error
  }
}

function noSuchSecret(name: string): ProblemError {
  return new ProblemError('secret-not-found', `The project has no secret ${name}.`)
}
