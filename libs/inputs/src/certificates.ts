import { X509Certificate } from 'node:crypto'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { finding } from './finding.ts'
import { shown } from './entry-name.ts'
import type { StoredFile } from './stored-file.ts'

const privateKey = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/
const blocks = /-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----[^-]*-----END \1-----/g

const dayMs = 24 * 60 * 60 * 1000
const soonDays = 30

/** Certificates of one file that are looked at. A whole bundle of authorities has about 150. */
const maximumCertificates = 1000

/** Checks a file of certificates, at that time. */
export function checkCertificates(file: StoredFile, bytes: Buffer, now: Date): Diagnostic[] {
  const text = bytes.toString('latin1')
  if (privateKey.test(text)) {
    const message =
      'The file holds a private key, which would end up in every image. Remove it: only certificates belong here. Treat the key as disclosed.'
    return [finding(file, 'cert.private-key', message)]
  }
  const found = [...text.matchAll(blocks)].slice(0, maximumCertificates)
  if (found.length === 0) {
    const message = isDer(bytes)
      ? 'The certificate is in DER form. Convert it: openssl x509 -inform der -in ca.cer -out ca.crt.'
      : 'The file holds no PEM certificate, which begins with -----BEGIN CERTIFICATE----- and ends with -----END CERTIFICATE-----.'
    return [finding(file, 'cert.not-pem', message)]
  }
  const many = found.length > 1
  return found.flatMap(([pem], index) => {
    const line = text.slice(0, found[index]?.index).split('\n').length
    const which = many ? `Certificate ${index + 1} of ${found.length}` : 'The certificate'
    const certificate = parse(pem)
    if (certificate === undefined) {
      const message = `${which} cannot be parsed. Copy it again, whole and unchanged.`
      return [finding(file, 'cert.unreadable', message, { line })]
    }
    const subject = shown(certificate.subject.replaceAll('\n', ', '))
    return validity(file, certificate, `${which}, ${subject},`, now, line)
  })
}

function validity(
  file: StoredFile,
  { validFromDate, validToDate }: X509Certificate,
  which: string,
  now: Date,
  line: number,
): Diagnostic[] {
  const until = validToDate.toISOString().slice(0, 10)
  if (validToDate < now) {
    const message = `${which} expired on ${until}. Send its successor.`
    return [finding(file, 'cert.expired', message, { line })]
  }
  if (validFromDate > now) {
    const message = `${which} is valid from ${validFromDate.toISOString().slice(0, 10)} only. Hosts cannot use it before.`
    return [finding(file, 'cert.not-yet-valid', message, { line })]
  }
  if (validToDate.getTime() - now.getTime() > soonDays * dayMs) return []
  const message = `${which} expires on ${until}. Hosts installed later cannot use it: send its successor too.`
  return [finding(file, 'cert.expires-soon', message, { line })]
}

function parse(certificate: string | Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(certificate)
  } catch (error) {
    // OpenSSL's reasons depend on its version and say nothing about what to do.
    if (error instanceof Error) return undefined
    throw error
  }
}

function isDer(bytes: Buffer): boolean {
  return bytes[0] === 0x30 && parse(bytes) !== undefined
}
