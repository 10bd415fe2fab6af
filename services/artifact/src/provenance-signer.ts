import { readFile } from 'node:fs/promises'
import { KeyError, parseKey, type KeyPair } from '@edgesmith/provenance/keys'
import { ConfigurationError } from '@edgesmith/service/environment'
import type { ProvenanceConfig } from './config.ts'

/** Who signs provenance. */
export type ProvenanceSigner = {
  readonly builderId: string
  /** The one that signs. */
  readonly key: KeyPair
  /** All that provenance of this service is verified with, newest first. */
  readonly keys: readonly KeyPair[]
}

/** Reads the files of PROVENANCE_KEYS. @throws ConfigurationError naming every file that is at fault */
export async function openSigner({ keyFiles, builderId }: ProvenanceConfig): Promise<ProvenanceSigner> {
  const keys: KeyPair[] = []
  const faults: string[] = []
  for (const file of keyFiles) {
    try {
      keys.push(parseKey(await readFile(file, 'utf8')))
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
      const reason = error instanceof KeyError ? error.message : `it cannot be read (${code}).`
      faults.push(`PROVENANCE_KEYS names ${file}: ${reason}`)
    }
  }
  const [key] = keys
  if (faults.length === 0 && key?.privateKey === undefined) {
    faults.push('PROVENANCE_KEYS has to begin with a private key, which signs')
  }
  if (faults.length > 0 || key === undefined) throw new ConfigurationError(faults)
  return { builderId, key, keys }
}
