import { readFile } from 'node:fs/promises'
import { KeyError, parseKey, type KeyPair } from '@edgesmith/provenance/keys'
import { ConfigurationError } from '@edgesmith/service/environment'

/** Reads the files of PROVENANCE_KEYS. @throws ConfigurationError naming every file that is at fault */
export async function readProvenanceKeys(files: readonly string[]): Promise<KeyPair[]> {
  const keys: KeyPair[] = []
  const faults: string[] = []
  for (const [index, file] of files.entries()) {
    try {
      const key = parseKey(await readFile(file, 'utf8'))
      keys.push(key)
      if (index > 0 || key.privateKey !== undefined) continue
      faults.push(`PROVENANCE_KEYS begins with ${file}, a public key; the first signs and has to be private`)
    } catch (error) {
      const isRead = error instanceof KeyError
      const reason = isRead ? error.message : ((error as NodeJS.ErrnoException).code ?? 'it cannot be read')
      faults.push(`PROVENANCE_KEYS names ${file}: ${reason}`)
    }
  }
  if (faults.length > 0) throw new ConfigurationError(faults)
  return keys
}
