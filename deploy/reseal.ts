/**
 * Seals all secrets anew with the newest key of `SECRETS_KEYS` or `SECRETS_KEY_FILE`: npm run reseal. The services may
 * run meanwhile, with the same keys. The older keys can go once this ends without failures.
 */
import { objectStoreVariables, toObjectStoreConfig } from '@edgesmith/service/common-variables'
import { ConfigurationError, readEnvironment } from '@edgesmith/service/environment'
import { openKeyring, secretsVariables, toSecretsConfig } from '@edgesmith/secrets/keys'
import { resealAll } from '@edgesmith/secrets/reseal'
import { openStore } from '@edgesmith/store/open-store'

const env = readEnvironment({ ...objectStoreVariables, ...secretsVariables }, process.env)
const faults = [...env.faults]
const objectStore = toObjectStoreConfig(env, faults)
const secrets = toSecretsConfig(env, faults)
if (secrets.keys.length === 0 && secrets.keyFile === undefined) {
  faults.push('SECRETS_KEYS or SECRETS_KEY_FILE is required, the newest key first')
}
try {
  if (faults.length > 0) throw new ConfigurationError(faults)
  const keyring = await openKeyring(secrets)
  if (keyring === undefined) throw new ConfigurationError(['There is no key'])
  const { resealed, current, failed } = await resealAll(await openStore(objectStore), keyring)
  console.log(`${resealed} sealed anew with the key ${keyring.newestId}, ${current} were already`)
  for (const { key, reason } of failed) console.error(`${key}: ${reason}`)
  if (failed.length > 0) process.exitCode = 1
} catch (error) {
  if (!(error instanceof ConfigurationError)) throw error
  console.error(error.message)
  process.exitCode = 78
}
