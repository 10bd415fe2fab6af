import { X509Certificate } from 'node:crypto'
import { itemsAt, textAt, type Path } from './path.ts'

/** One entry of a list of certificates: what could be parsed of it, and what is wrong with it. */
export type LocatedCertificates = { path: Path; certificates: readonly X509Certificate[]; fault?: string }

/** Parses every certificate of a document: authorities of the site and of external registries. */
export function readCertificates(document: unknown): LocatedCertificates[] {
  const lists: Path[] = [['stylus', 'site', 'caCerts']]
  const registries = ['stylus', 'externalRegistries', 'registries']
  for (const [index] of itemsAt(document, registries)) lists.push([...registries, index, 'certificates'])
  return lists
    .flatMap((list) => itemsAt(document, list).map(([index]) => [...list, index]))
    .flatMap((path) => {
      const text = textAt(document, path)
      return text === undefined ? [] : [{ path, ...parse(text) }]
    })
}

function parse(text: string): Omit<LocatedCertificates, 'path'> {
  const pem = text.includes('-----BEGIN') ? text : decodeBase64(text)
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    return { certificates: [], fault: 'holds a private key. Remove it: only the certificate belongs here.' }
  }
  const blocks = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g)]
  if (blocks.length === 0) {
    const fault =
      'is no PEM certificate. It begins with the line -----BEGIN CERTIFICATE----- and ends with -----END CERTIFICATE-----, five dashes each.'
    return { certificates: [], fault }
  }
  const certificates: X509Certificate[] = []
  for (const [block] of blocks) {
    try {
      certificates.push(new X509Certificate(block))
    } catch (error) {
      const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : 'unreadable'
      return { certificates, fault: `cannot be parsed (${reason}). Copy it again, whole and unchanged.` }
    }
  }
  return { certificates }
}

/** Some write the whole PEM file in base64. */
function decodeBase64(text: string): string {
  return /^[A-Za-z0-9+/=\s]+$/.test(text) ? Buffer.from(text, 'base64').toString('latin1') : ''
}
