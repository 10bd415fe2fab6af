// x509's dependency injection reads metadata; the polyfill has to be there first.
import 'reflect-metadata'
import { createPrivateKey, webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** A certificate and its private key, PEM. */
export type KeyPair = { readonly certificate: string; readonly key: string }

export type LeafOptions = {
  /** Common name and, without a `uri`, the host name that clients use. */
  readonly name: string
  /** What the certificate names in place of a host. */
  readonly uri?: string
  readonly usage: 'server' | 'client'
  /** How long the certificate is valid from now on, in milliseconds. */
  readonly lifetimeMs: number
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** How far a clock may be from another, or jump, in milliseconds: certificates hold before and beyond. */
export const clockSkewMs = 2 * 24 * 60 * 60_000

/** A certificate authority: those who trust it know each other by the certificates it issues, and take no others. */
export class CertificateAuthority {
  readonly #certificate: X509Certificate
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #notAfter: Date

  private constructor(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair, notAfter: Date) {
    this.#certificate = certificate
    this.#keys = keys
    this.#notAfter = notAfter
  }

  /** Makes an authority that is valid for a time, in milliseconds. */
  static async create(name: string, lifetimeMs: number): Promise<CertificateAuthority> {
    const keys = await generateKeys()
    const now = Date.now()
    const notAfter = new Date(now + lifetimeMs)
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        name: `CN=${name}`,
        keys,
        signingAlgorithm: algorithm,
        notBefore: new Date(now - clockSkewMs),
        notAfter,
        extensions: [
          new BasicConstraintsExtension(true, 0, true),
          new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
          await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        ],
      },
      webcrypto,
    )
    return new CertificateAuthority(certificate, keys, notAfter)
  }

  /** The authority that `certificate` and `exportKey` told of. */
  static async restore({ certificate, key }: KeyPair): Promise<CertificateAuthority> {
    const parsed = new X509Certificate(certificate)
    const bytes = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
    const keys: webcrypto.CryptoKeyPair = {
      privateKey: await webcrypto.subtle.importKey('pkcs8', bytes, algorithm, true, ['sign']),
      publicKey: await webcrypto.subtle.importKey('spki', parsed.publicKey.rawData, algorithm, true, [
        'verify',
      ]),
    }
    return new CertificateAuthority(parsed, keys, parsed.notAfter)
  }

  /** The authority's own certificate, PEM. */
  get certificate(): string {
    return toPem(this.#certificate)
  }

  /** Until when the authority's certificates can be valid. */
  get notAfter(): Date {
    return this.#notAfter
  }

  /** The authority's private key, PEM. */
  async exportKey(): Promise<string> {
    return await exportKey(this.#keys.privateKey)
  }

  /** Issues a certificate with a key of its own; it ends with the authority at the latest. */
  async issue({ name, uri, usage, lifetimeMs }: LeafOptions): Promise<KeyPair> {
    const keys = await generateKeys()
    const now = Date.now()
    const extensions: Extension[] = [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([
        usage === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
      ]),
      new SubjectAlternativeNameExtension([
        uri === undefined ? { type: 'dns', value: name } : { type: 'url', value: uri },
      ]),
      await AuthorityKeyIdentifierExtension.create(this.#keys.publicKey, false, webcrypto),
    ]
    const certificate = await X509CertificateGenerator.create(
      {
        subject: `CN=${name}`,
        issuer: this.#certificate.subject,
        publicKey: keys.publicKey,
        signingKey: this.#keys.privateKey,
        signingAlgorithm: algorithm,
        notBefore: new Date(now - clockSkewMs),
        notAfter: new Date(Math.min(now + lifetimeMs, this.#notAfter.getTime())),
        extensions,
      },
      webcrypto,
    )
    return { certificate: toPem(certificate), key: await exportKey(keys.privateKey) }
  }
}

function toPem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${bytes.replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`
}
