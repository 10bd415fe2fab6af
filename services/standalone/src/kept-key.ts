import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { keyBytes } from '@edgesmith/secrets/keyring'
import { keepFile } from './kept-file.ts'

/** File of the Ed25519 key, in a directory of this user's own, that signs provenance; made at the first start. */
export async function keepProvenanceKey(directory: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const file = join(directory, 'provenance-key.pem')
  await keepFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  return file
}

/** File of the key, in a directory of this user's own, that seals secrets; made at the first start. */
export async function keepSecretsKey(directory: string): Promise<string> {
  const file = join(directory, 'secrets-key')
  await keepFile(file, `${randomBytes(keyBytes).toString('base64')}\n`)
  return file
}
