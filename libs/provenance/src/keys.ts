import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { ProvenanceKey } from '@edgesmith/contract/provenance'

/** A key of provenance: one that signs has its private half. */
export type KeyPair = {
  readonly keyId: string
  readonly publicKey: KeyObject
  readonly privateKey?: KeyObject
}

/** A text is no key that can sign or verify; the message says why, and has nothing of the text. */
export class KeyError extends Error {
  override name = 'KeyError'
}

/**
 * Reads a key from PEM: an Ed25519 private key (PKCS #8), or a public one (SubjectPublicKeyInfo), which verifies
 * only.
 * @throws KeyError
 */
export function parseKey(pem: string): KeyPair {
  const privateKey = pem.includes('PRIVATE KEY-----') ? read(() => createPrivateKey(pem)) : undefined
  const publicKey = read(() => createPublicKey(privateKey ?? pem))
  if (publicKey.asymmetricKeyType !== 'ed25519') {
    throw new KeyError(`It is a key of the type ${publicKey.asymmetricKeyType ?? 'unknown'}, not Ed25519.`)
  }
  const keyId = keyIdOf(publicKey)
  return privateKey === undefined ? { keyId, publicKey } : { keyId, publicKey, privateKey }
}

/** What is told of a key to those who verify with it. */
export function describeKey({ keyId, publicKey }: KeyPair, isCurrent: boolean): ProvenanceKey {
  const { x = '' } = publicKey.export({ format: 'jwk' })
  return {
    keyId,
    isCurrent,
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jwk: { kty: 'OKP', crv: 'Ed25519', x, kid: keyId },
  }
}

function keyIdOf(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}

function read(parse: () => KeyObject): KeyObject {
  try {
    return parse()
  } catch (error) {
    throw new KeyError('It is not a key in PEM.', { cause: error })
  }
}
