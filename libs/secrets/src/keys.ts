import { readFile } from 'node:fs/promises'
import { ConfigurationError, list, optional, text, type Environment } from '@edgesmith/service/environment'
import { keyBytes, Keyring } from './keyring.ts'

/** What seals the secrets. */
export const secretsVariables = {
  SECRETS_KEYS: list({
    default: [],
    secret: true,
    description:
      'Keys that secrets are sealed with, newest first: 32 random bytes each, in base64. The first seals, all of them unseal; without any, secrets are refused.',
  }),
  SECRETS_KEY_FILE: optional(
    text({
      description: 'File of such keys, one a line, newest first; they come after those of `SECRETS_KEYS`.',
    }),
  ),
}

export type SecretsConfig = { readonly keys: readonly string[]; readonly keyFile: string | undefined }

/** The configuration of secrets; what is wrong with it is added to `faults`. */
export function toSecretsConfig(env: Environment<typeof secretsVariables>, faults: string[]): SecretsConfig {
  const { SECRETS_KEYS: keys, SECRETS_KEY_FILE: keyFile } = env
  if (keys.some((key) => decode(key) === undefined)) {
    faults.push(
      `SECRETS_KEYS has to be keys of ${keyBytes} bytes in base64, such as of: openssl rand -base64 32`,
    )
  }
  return { keys, keyFile }
}

/**
 * The keyring that is configured; undefined when there are no keys.
 * @throws ConfigurationError when the file of keys cannot be read, or is none
 */
export async function openKeyring({ keys, keyFile }: SecretsConfig): Promise<Keyring | undefined> {
  const all = [...keys, ...(keyFile === undefined ? [] : await readKeys(keyFile))].map(decode)
  const bytes = all.filter((key) => key !== undefined)
  return bytes.length === 0 ? undefined : new Keyring(bytes)
}

async function readKeys(file: string): Promise<string[]> {
  const content = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new ConfigurationError([`SECRETS_KEY_FILE cannot be read: ${(error as Error).message}`])
  })
  const lines = content.split('\n').filter((line) => line.trim() !== '')
  if (lines.length === 0 || lines.some((line) => decode(line) === undefined)) {
    throw new ConfigurationError([
      `SECRETS_KEY_FILE has to hold keys of ${keyBytes} bytes in base64, one a line`,
    ])
  }
  return lines
}

function decode(key: string): Buffer | undefined {
  const bytes = Buffer.from(key.trim(), 'base64')
  return bytes.length === keyBytes && bytes.toString('base64') === key.trim() ? bytes : undefined
}
