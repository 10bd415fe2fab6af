import { randomUUID } from 'node:crypto'
import { chown, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { serviceUri, type ServiceName } from '@edgesmith/service/service-name'
import { CertificateAuthority, type LeafOptions } from './authority.ts'

const dayMs = 24 * 60 * 60_000

/** How long the authority of an installation issues certificates, in milliseconds: ten years. */
const authorityLifetimeMs = 3650 * dayMs

/** How each service uses its certificate: as it calls others, or as others call it. */
const usages: Readonly<Record<ServiceName, LeafOptions['usage']>> = {
  gateway: 'client',
  validation: 'server',
  artifact: 'server',
}

/** The services that have certificates. */
export const certifiedServices = Object.keys(usages) as readonly ServiceName[]

/** Directory of a service's certificate: its `SERVICE_TLS_DIRECTORY`. */
export function certificateDirectory(directory: string, service: ServiceName): string {
  return join(directory, service)
}

/**
 * Makes or renews the certificates of an installation's services in a directory, each in one of its own, with the
 * authority that is kept there in `ca.pem` and `ca-key.pem` and made where it is missing. Files belong to the owner of
 * their directory; private keys can be read by that owner alone.
 * @throws Error when one of the authority's files is missing, or it ends before the certificates would
 */
export async function makeServiceCertificates(
  directory: string,
  { lifetimeMs }: { lifetimeMs: number },
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const authority = await keptAuthority(directory)
  if (authority.notAfter.getTime() < Date.now() + lifetimeMs) {
    throw new Error(
      `The authority in ${directory} ends at ${authority.notAfter.toISOString()}. Make another in a directory of its own, and restart all services with its certificates.`,
    )
  }
  for (const name of certifiedServices) {
    const own = certificateDirectory(directory, name)
    await mkdir(own, { recursive: true, mode: 0o700 })
    const uri = serviceUri(name)
    const { certificate, key } = await authority.issue({ name, uri, usage: usages[name], lifetimeMs })
    await replaceFile(join(own, 'ca.pem'), authority.certificate, 0o644)
    await replaceFile(join(own, 'key.pem'), key, 0o600)
    await replaceFile(join(own, 'cert.pem'), certificate, 0o644)
  }
}

async function keptAuthority(directory: string): Promise<CertificateAuthority> {
  const [certificateFile, keyFile] = [join(directory, 'ca.pem'), join(directory, 'ca-key.pem')]
  const [certificate, key] = await Promise.all([readIfThere(certificateFile), readIfThere(keyFile)])
  if (certificate !== undefined && key !== undefined) {
    return await CertificateAuthority.restore({ certificate, key })
  }
  if (certificate !== undefined || key !== undefined) {
    const missing = certificate === undefined ? 'ca.pem' : 'ca-key.pem'
    throw new Error(`The authority in ${directory} lacks its ${missing}.`)
  }
  const authority = await CertificateAuthority.create(`edgesmith ${randomUUID()}`, authorityLifetimeMs)
  await replaceFile(keyFile, await authority.exportKey(), 0o600)
  await replaceFile(certificateFile, authority.certificate, 0o644)
  return authority
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Replaces a file in one step, so that nobody reads half of it. */
async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, content, { mode, flag: 'wx' })
  const { uid, gid } = await stat(dirname(file))
  if (uid !== process.getuid?.()) await chown(draft, uid, gid)
  await rename(draft, file)
}
