import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { runCommand } from '../setup/command.ts'
import { readLockFile } from './lock-file.ts'

const Hashes = Type.Array(Type.Object({ alg: Type.String(), content: Type.String() }))

const Component = Type.Object({
  name: Type.String(),
  version: Type.String(),
  purl: Type.String(),
  hashes: Type.Optional(Hashes),
})

/** What is looked at of a CycloneDX document. */
const ServiceSbom = Type.Object({
  serialNumber: Type.String(),
  metadata: Type.Object({ timestamp: Type.Optional(Type.String()), component: Component }),
  components: Type.Array(Component),
})

export type ServiceSbom = Static<typeof ServiceSbom>

/**
 * The SBOM of the packages that a directory's lock file names, CycloneDX: what `npm sbom` writes, without the
 * time and with a serial number that follows from the lock file, so that the same lock file has the same SBOM.
 */
export async function makeServiceSbom(directory: string): Promise<ServiceSbom> {
  const json = await runCommand(
    'npm',
    ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only'],
    { cwd: directory, stderr: 'quiet' },
  )
  const sbom: unknown = JSON.parse(json)
  Value.Assert(ServiceSbom, sbom)
  const lockFile = await readFile(join(directory, 'package-lock.json'))
  sbom.serialNumber = `urn:uuid:${uuidOf(lockFile)}`
  delete sbom.metadata.timestamp
  // npm takes the names of directories for those of this repository's own packages.
  for (const component of [sbom.metadata.component, ...sbom.components]) component.name = nameOf(component)
  return sbom
}

/** The packages of a directory's lock file that an SBOM lacks, or has with another digest. */
export async function missingFromSbom(directory: string, { components }: ServiceSbom): Promise<string[]> {
  const digests = new Map(
    components.map((component) => [`${component.name}@${component.version}`, component.hashes ?? []]),
  )
  const missing: string[] = []
  for (const { name, version, integrity } of await readLockFile(directory)) {
    const hashes = digests.get(`${name}@${version}`)
    const isThere =
      hashes !== undefined &&
      (integrity === undefined || hashes.some(({ content }) => content === hexOf(integrity)))
    if (!isThere) missing.push(`${name}@${version}`)
  }
  return missing
}

function nameOf({ purl }: Static<typeof Component>): string {
  return decodeURIComponent(purl.slice('pkg:npm/'.length, purl.lastIndexOf('@')))
}

/** The digest of a Subresource Integrity string as hex. */
function hexOf(integrity: string): string {
  return Buffer.from(integrity.slice(integrity.indexOf('-') + 1), 'base64').toString('hex')
}

/** A UUID version 8 (RFC 9562, section 5.8) that follows from bytes. */
function uuidOf(bytes: Buffer): string {
  const digest = createHash('sha256').update(bytes).digest().subarray(0, 16)
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x80, 6)
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8)
  return digest.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
