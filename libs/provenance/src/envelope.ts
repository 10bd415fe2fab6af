import { sign, verify } from 'node:crypto'
import { inTotoMediaType, type Envelope } from '@edgesmith/contract/provenance'
import type { KeyPair } from './keys.ts'

/**
 * Signs a statement. The same statement and key have the same envelope: Ed25519 needs no random numbers.
 * @throws TypeError for a key that only verifies
 */
export function signStatement(statement: string, { keyId, privateKey }: KeyPair): Envelope {
  if (privateKey === undefined) throw new TypeError(`The key ${keyId} has no private half.`)
  const payload = Buffer.from(statement)
  const sig = sign(null, preAuthenticationEncoding(payload), privateKey).toString('base64')
  return {
    payloadType: inTotoMediaType,
    payload: payload.toString('base64'),
    signatures: [{ keyid: keyId, sig }],
  }
}

/** The statement of an envelope that one of the keys has signed; undefined when none has. */
export function openEnvelope(
  { payload, signatures }: Envelope,
  keys: readonly KeyPair[],
): string | undefined {
  const bytes = Buffer.from(payload, 'base64')
  const encoded = preAuthenticationEncoding(bytes)
  // The identifier is a hint only: it is not under the signature.
  const isSigned = keys.some(({ publicKey }) =>
    signatures.some(({ sig }) => verify(null, encoded, publicKey, Buffer.from(sig, 'base64'))),
  )
  return isSigned ? bytes.toString() : undefined
}

/** What is signed (DSSE protocol, "Signature Definition"). */
export function preAuthenticationEncoding(payload: Buffer): Buffer {
  const type = `${Buffer.byteLength(inTotoMediaType)} ${inTotoMediaType}`
  return Buffer.concat([Buffer.from(`DSSEv1 ${type} ${payload.length} `), payload])
}
