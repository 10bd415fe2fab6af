import type { KeyObject } from 'node:crypto'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { ClusterDefinition, StoredInput } from '@edgesmith/contract/validation'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { checkCertificates } from './certificates.ts'
import { checkClusterDefinition } from './cluster-definition.ts'
import { checkContentBundle } from './content-bundle.ts'
import { readEdgeCustomConfig } from './edge-custom-config.ts'
import { checkLocalUi } from './local-ui.ts'
import { readPublicKey, type ReadKey } from './public-key.ts'
import { checkSignatures } from './signatures.ts'
import { readSmallFile, type StoredFile } from './stored-file.ts'

export type CheckedInputs = { diagnostics: Diagnostic[]; clusterDefinition?: ClusterDefinition }

/**
 * Checks the content of a build's files, but for `.arg` file and user-data, which have checks of their own,
 * and for the tars that `withMembers` looks into. Files whose kind is wrong are left to `layoutInputs`.
 * @throws NoSuchObject when the store no longer has an input
 */
export async function checkInputs(
  store: ObjectStore,
  inputs: readonly (StoredInput & StoredFile)[],
  now: Date,
): Promise<CheckedInputs> {
  const diagnostics: Diagnostic[] = []
  let clusterDefinition: ClusterDefinition | undefined
  let key: KeyObject | undefined
  for (const input of inputs) {
    switch (input.role) {
      case 'contentBundle':
        diagnostics.push(...(await checkContentBundle(store, input)))
        break
      case 'clusterDefinition':
        if (input.kind === 'gzip') {
          const checked = await checkClusterDefinition(store, input)
          diagnostics.push(...checked.diagnostics)
          clusterDefinition = checked.definition
        }
        break
      case 'publicKey':
      case 'edgeCustomConfig': {
        const read = await readKey(store, input)
        diagnostics.push(...read.diagnostics)
        key ??= read.key
        break
      }
      case 'cert': {
        const file = await readSmallFile(store, input)
        diagnostics.push(
          ...(file.bytes === undefined ? file.diagnostics : checkCertificates(input, file.bytes, now)),
        )
        break
      }
      case 'localUi':
        if (input.kind === 'tar') diagnostics.push(...(await checkLocalUi(store, input)))
        break
      default:
    }
  }
  diagnostics.push(...(await checkSignatures(store, inputs, key)))
  return { diagnostics, ...(clusterDefinition === undefined ? {} : { clusterDefinition }) }
}

async function readKey(store: ObjectStore, input: StoredFile): Promise<ReadKey> {
  const { bytes, diagnostics } = await readSmallFile(store, input)
  if (bytes === undefined) return { diagnostics }
  return input.role === 'publicKey' ? readPublicKey(input, bytes) : readEdgeCustomConfig(input, bytes)
}
