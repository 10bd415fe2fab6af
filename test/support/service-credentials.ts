import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CertificateAuthority, LeafOptions } from '@edgesmith/certificates/authority'
import type { Credentials } from '@edgesmith/service/service-certificate'

/** Credentials of a service for an hour, as its name and its use have it unless told otherwise. */
export async function issueCredentials(
  authority: CertificateAuthority,
  options: Partial<LeafOptions> & Pick<LeafOptions, 'name' | 'usage'>,
  /** Who signs, where it is not the authority that peers are to trust. */
  by = authority,
): Promise<Credentials> {
  const leaf = { uri: `spiffe://edgesmith/${options.name}`, lifetimeMs: 60 * 60_000, ...options }
  const { certificate: cert, key } = await by.issue(leaf)
  return { ca: authority.certificate, cert, key }
}

/** Puts credentials where a service reads them, each file at once. */
export async function writeCredentials(directory: string, { ca, cert, key }: Credentials): Promise<void> {
  for (const [name, content] of Object.entries({ ca, key, cert })) {
    await writeFile(join(directory, `${name}.new`), content, { mode: 0o600 })
    await rename(join(directory, `${name}.new`), join(directory, `${name}.pem`))
  }
}
