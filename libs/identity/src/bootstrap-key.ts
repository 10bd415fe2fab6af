import { readFile } from 'node:fs/promises'
import { defaultTenant } from '@edgesmith/contract/project'
import { ConfigurationError } from '@edgesmith/service/environment'
import { accepts, isUsable, type ApiKeys } from './api-keys.ts'
import { hashSecret, keyForm, parseKey, type KeyText } from './key-text.ts'

const makeOne = 'make one with `echo "esk_$(openssl rand -hex 8)_$(openssl rand -hex 32)"`'

/** The operator's key that the configuration sets, if any. @throws ConfigurationError when it is no key */
export async function readBootstrapKey({
  text,
  file,
}: {
  text: string | undefined
  file: string | undefined
}): Promise<KeyText | undefined> {
  const name = file === undefined ? 'BOOTSTRAP_API_KEY' : `BOOTSTRAP_API_KEY_FILE ${file}`
  const given = file === undefined ? text : (await readOrFail(file)).trim()
  if (given === undefined) return undefined
  const key = parseKey(given)
  if (key === undefined) throw new ConfigurationError([`${name} is not ${keyForm}; ${makeOne}`])
  return key
}

async function readOrFail(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigurationError([`BOOTSTRAP_API_KEY_FILE: ${String(error)}`])
  }
}

/**
 * Makes the operator's key that the configuration sets, or keeps it; one that it set before ends.
 * @throws ConfigurationError when the key's identifier is that of a key made through the API
 */
export async function ensureBootstrapKey(keys: ApiKeys, text: KeyText): Promise<void> {
  const given = {
    name: 'bootstrap',
    tenant: defaultTenant,
    role: 'operator',
    createdBy: 'configuration',
  } as const
  if ((await keys.find(text.id)) === undefined) await keys.createOf(text, { ...given, configured: true })
  const found = await keys.find(text.id)
  if (found?.configured !== true) {
    throw new ConfigurationError([
      `BOOTSTRAP_API_KEY has the identifier ${text.id} of another key; ${makeOne}`,
    ])
  }
  if (!accepts(found, text) || !isUsable(found)) {
    await keys.update(text.id, ({ revokedAt: _revokedAt, ...key }) => ({
      ...key,
      secretHash: hashSecret(text.secret),
    }))
  }
  for await (const key of keys.records(defaultTenant)) {
    if (key.configured === true && key.id !== text.id && isUsable(key)) await keys.revoke(key.id)
  }
}
