import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { finding } from './finding.ts'
import type { StoredFile } from './stored-file.ts'

const privatePem = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/
const anyPem = /-----BEGIN ([A-Z0-9 ]+)-----/

/** A public key that was read, or what is wrong with what was there instead. */
export type ReadKey = { key?: KeyObject; diagnostics: Diagnostic[] }

/**
 * Reads a public key: PEM or DER, or either in base64.
 *
 * Source: documentation "Embed a Public Key in Edge Artifacts" (an RSA key in PEM, in base64).
 */
export function readPublicKey(
  file: Pick<StoredFile, 'role' | 'pointer' | 'fileName'>,
  bytes: Buffer,
): ReadKey {
  const fault = (code: 'public-key.private' | 'public-key.unreadable', message: string): ReadKey => ({
    diagnostics: [finding(file, code, message)],
  })
  const content = unwrap(bytes)
  const text = content.toString('latin1')
  if (privatePem.test(text)) {
    return fault(
      'public-key.private',
      'This is a private key. Keep it, and send the public key: openssl pkey -in key.pem -pubout.',
    )
  }
  const label = anyPem.exec(text)?.[1]
  const key = label === undefined ? parseDer(content) : parse(() => createPublicKey(text))
  if (key === undefined || label === 'CERTIFICATE') {
    const isOther = label !== undefined && !label.endsWith('PUBLIC KEY')
    const found = isOther ? ` It is a ${label.toLowerCase()}.` : ''
    return fault(
      'public-key.unreadable',
      `The public key cannot be read.${found} Send it as PEM, which begins with -----BEGIN PUBLIC KEY-----, or that in base64.`,
    )
  }
  return { key, diagnostics: remarks(file, key) }
}

/** The `.edge-custom-config.yaml` that embeds a public key, always as PEM in SPKI form, in base64. */
export function edgeCustomConfigOf(key: KeyObject): string {
  const pem = key.export({ type: 'spki', format: 'pem' })
  return [
    'content:',
    '  signing:',
    '    publicKey:',
    `      base64EncodedValue: "${Buffer.from(pem).toString('base64')}"`,
    '      description: "Verifies content bundles and cluster definitions."',
    '',
  ].join('\n')
}

function remarks(file: Pick<StoredFile, 'role' | 'pointer' | 'fileName'>, key: KeyObject): Diagnostic[] {
  if (key.asymmetricKeyType !== 'rsa') {
    const type = key.asymmetricKeyType ?? 'unknown'
    const message = `The key is of type ${type}. The documentation of signed content knows RSA keys only: make sure that your Palette version verifies with this one.`
    return [finding(file, 'public-key.not-rsa', message)]
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits >= 2048) return []
  return [finding(file, 'public-key.short', `The RSA key has ${bits} bits. Use one of 2048 or more.`)]
}

/** Takes base64 off, when the whole is base64. */
function unwrap(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').trim()
  if (!/^[A-Za-z0-9+/\s]+=*$/.test(text)) return bytes
  return Buffer.from(text, 'base64')
}

function parseDer(key: Buffer): KeyObject | undefined {
  return (
    parse(() => createPublicKey({ key, format: 'der', type: 'spki' })) ??
    parse(() => createPublicKey({ key, format: 'der', type: 'pkcs1' }))
  )
}

function parse(read: () => KeyObject): KeyObject | undefined {
  try {
    return read()
  } catch (error) {
    // OpenSSL's reasons depend on its version and say nothing about what to do.
    if (error instanceof Error) return undefined
    throw error
  }
}
