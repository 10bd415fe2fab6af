import type { PeerCertificate } from 'node:tls'

/** The services that know each other by certificates. The builder calls none of them and is called by none. */
export type ServiceName = 'gateway' | 'validation' | 'artifact'

/** The URI by which a certificate names a service: a SPIFFE ID of the trust domain `edgesmith`. */
export function serviceUri(name: ServiceName): string {
  return `spiffe://edgesmith/${name}`
}

/** The URI that a certificate names; undefined where it names none, or several, which SPIFFE does not allow. */
export function certificateUri({
  subjectaltname: names = '',
}: Pick<PeerCertificate, 'subjectaltname'>): string | undefined {
  // Node.js quotes a name that could be taken for several.
  if (names.includes('"')) return undefined
  const [uri, ...others] = names.split(', ').filter((name) => name.startsWith('URI:'))
  return others.length === 0 ? uri?.slice('URI:'.length) : undefined
}
