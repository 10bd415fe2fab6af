import { constants, createVerify, publicDecrypt, verify } from 'node:crypto'
import type { KeyObject, Verify, VerifyKeyObjectInput } from 'node:crypto'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

/** The file that a signature is about. */
export type SignedFile = {
  /** SHA-256 of the file, which the store knows it by. */
  digest: Buffer
  /** In bytes. */
  size: number
  open: () => Promise<Readable>
}

/** Most bytes that are read again to verify a signature; as a whole in memory, for pure Ed25519. */
const streamedLimit = 4 * 1024 ** 3
const wholeLimit = 64 * 1024 ** 2

/** `DigestInfo` of a SHA-256 without the digest (RFC 8017, 9.2, note 1). */
const sha256Info = Buffer.from('3031300d060960864801650304020105000420', 'hex')

/**
 * Verifies a detached signature, raw or in base64, over the bytes of the file with SHA-256, as `openssl
 * dgst -sha256 -sign` makes it (RSA by PKCS #1 or PSS, ECDSA in DER or IEEE P1363 form), over the bytes by
 * Ed25519, or over the 32 bytes of the file's SHA-256 by any of these. Where the digest is enough, the file
 * is not read again. `unknown` when the file is too large for that.
 */
export async function verifySignature(
  key: KeyObject,
  written: Buffer,
  file: SignedFile,
): Promise<'valid' | 'invalid' | 'unknown'> {
  const signature = decodeSignature(written)
  if (!isSigning(key)) return 'unknown'
  if (isOverDigest(key, signature, file.digest)) return 'valid'
  const type = key.asymmetricKeyType
  if (type === 'ed25519' || type === 'ed448') {
    if (file.size > wholeLimit) return 'unknown'
    return outcome(verify(null, await buffer(await file.open()), key, signature))
  }
  if (file.size > streamedLimit) return 'unknown'
  return outcome(await isOverBytes(key, signature, file))
}

function isSigning(key: KeyObject): boolean {
  return ['rsa', 'rsa-pss', 'ec', 'ed25519', 'ed448'].includes(key.asymmetricKeyType ?? '')
}

function outcome(isValid: boolean): 'valid' | 'invalid' {
  return isValid ? 'valid' : 'invalid'
}

/** Base64, when that is all there is; else the bytes themselves. */
function decodeSignature(written: Buffer): Buffer {
  const text = written.toString('latin1').trim()
  return /^[A-Za-z0-9+/\s]+=*$/.test(text) ? Buffer.from(text, 'base64') : written
}

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }

/** The ways in which a key of the type signs. */
function schemes(key: KeyObject): object[] {
  if (key.asymmetricKeyType === 'ec') return [{ dsaEncoding: 'der' }, { dsaEncoding: 'ieee-p1363' }]
  return key.asymmetricKeyType === 'rsa' ? [{}, pss] : [{}]
}

function isOverDigest(key: KeyObject, signature: Buffer, digest: Buffer): boolean {
  const type = key.asymmetricKeyType
  if (type === 'rsa' && encodesDigest(key, signature, digest)) return true
  const algorithm = type === 'ed25519' || type === 'ed448' ? null : 'sha256'
  return schemes(key).some((scheme) => verify(algorithm, digest, { key, ...scheme }, signature))
}

/** PKCS #1 v1.5: what the signature encodes is the digest itself. */
function encodesDigest(key: KeyObject, signature: Buffer, digest: Buffer): boolean {
  try {
    const encoded = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature)
    return encoded.equals(Buffer.concat([sha256Info, digest]))
  } catch (error) {
    // It is no such signature: too long, too short, or of another padding.
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_OSSL_')) return false
    throw error
  }
}

async function isOverBytes(key: KeyObject, signature: Buffer, file: SignedFile): Promise<boolean> {
  const attempts = schemes(key).map((scheme) => ({ scheme, verifier: createVerify('sha256') }))
  for await (const chunk of (await file.open()) as AsyncIterable<Buffer>) {
    for (const { verifier } of attempts) verifier.update(chunk)
  }
  return attempts.some(({ scheme, verifier }) => fits(verifier, { key, ...scheme }, signature))
}

function fits(verifier: Verify, key: VerifyKeyObjectInput, signature: Buffer): boolean {
  try {
    return verifier.verify(key, signature)
  } catch (error) {
    // It is of no length that the scheme has.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_CRYPTO_OPERATION_FAILED')
      return false
    throw error
  }
}
