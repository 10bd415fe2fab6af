import type { KeyObject } from 'node:crypto'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { StoredInput } from '@edgesmith/contract/validation'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { finding } from './finding.ts'
import { verifySignature } from './signature.ts'
import { readSmallFile } from './stored-file.ts'

/** Verifies the signatures of a build's files against its public key. */
export async function checkSignatures(
  store: ObjectStore,
  inputs: readonly StoredInput[],
  key: KeyObject | undefined,
): Promise<Diagnostic[]> {
  const diagnostics: Diagnostic[] = []
  for (const signature of inputs) {
    if (signature.role !== 'contentBundleSignature' && signature.role !== 'clusterDefinitionSignature')
      continue
    const file = signedFile(signature, inputs)
    if (file === undefined) diagnostics.push(finding(signature, 'signature.no-file', adviceFor(signature)))
    else if (key === undefined) {
      const message =
        'There is no public key to verify the signature with, so it was not. Send the publicKey too, or leave the signature out.'
      diagnostics.push(finding(signature, 'signature.no-key', message))
    } else diagnostics.push(...(await checkSignature(store, signature, file, key)))
  }
  return diagnostics
}

async function checkSignature(
  store: ObjectStore,
  signature: StoredInput,
  file: StoredInput,
  key: KeyObject,
): Promise<Diagnostic[]> {
  const { bytes, diagnostics } = await readSmallFile(store, signature)
  if (bytes === undefined) return diagnostics
  const result = await verifySignature(key, bytes, {
    digest: Buffer.from(file.contentId.slice('sha256:'.length), 'hex'),
    size: file.size,
    open: () => store.get(file.objectKey),
  })
  const name = file.fileName ?? file.pointer
  if (result === 'valid') return []
  if (result === 'unknown') {
    const message = `The signature was not verified: ${name} has ${file.size} bytes, too many to read them again for it, or the key does not sign. Sign the 32 bytes of its SHA-256, with an RSA, EC or Ed25519 key.`
    return [finding(signature, 'signature.not-verified', message)]
  }
  const message = `The signature does not fit ${name} and the public key. Sign that very file with the private key of this public key: openssl dgst -sha256 -sign key.pem -out ${name}.sig ${name}.`
  return [finding(signature, 'signature.mismatch', message)]
}

/** The file that a signature belongs to: the only one of its kind, else the one that it is named after. */
function signedFile(signature: StoredInput, inputs: readonly StoredInput[]): StoredInput | undefined {
  const isOfBundle = signature.role === 'contentBundleSignature'
  const files = inputs.filter(({ role }) => role === (isOfBundle ? 'contentBundle' : 'clusterDefinition'))
  const signatures = inputs.filter(({ role }) => role === signature.role)
  if (files.length === 1 && signatures.length === 1) return files[0]
  return files
    .filter(
      ({ fileName }) => fileName !== undefined && signature.fileName?.startsWith(`${fileName}.`) === true,
    )
    .sort((one, other) => (other.fileName?.length ?? 0) - (one.fileName?.length ?? 0))[0]
}

function adviceFor({ role }: StoredInput): string {
  return role === 'contentBundleSignature'
    ? 'It cannot be told which content bundle this signature belongs to. Name it after the bundle, as core.tar.zst.sig for core.tar.zst, and send that bundle.'
    : 'The signature is of a cluster definition, which was not sent. Send it too, or leave the signature out.'
}
