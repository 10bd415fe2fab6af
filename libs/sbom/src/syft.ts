import { createHash } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sbom } from '@edgesmith/contract/sbom'
import type { SquashfsTree } from '@edgesmith/iso/squashfs-tree'
import { Value } from 'typebox/value'
import { LimitedProcessError, runLimited } from './limited-process.ts'
import { takePackageDatabases } from './package-databases.ts'

/** What reads the databases of packages; none of them asks anything of a network. */
const catalogers = ['dpkg-db-cataloger', 'rpm-db-cataloger', 'apk-db-cataloger']

const environment = {
  SYFT_CHECK_FOR_APP_UPDATE: 'false',
  SYFT_FILE_METADATA_SELECTION: 'none',
  GOMEMLIMIT: '1GiB',
  GOMAXPROCS: '1',
}

/** Bytes of a document: some ten thousand packages. */
const outputLimit = 64 * 1024 * 1024

export type RootFileSystem = {
  readonly tree: SquashfsTree
  /** Name of the file in the image. */
  readonly name: string
  /** SHA-256 of the file, lowercase hex. */
  readonly sha256: string
}

/**
 * Lists the packages of a root file system by syft, CycloneDX. The same root file system and syft give the same
 * document.
 * @throws LimitedProcessError when syft cannot be run or fails; NoPackages, IsoError
 */
export async function listPackages(syft: string, { tree, name, sha256 }: RootFileSystem): Promise<Sbom> {
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-sbom-'))
  try {
    await chmod(directory, 0o755)
    await takePackageDatabases(tree, directory)
    const document = await runLimited({
      program: syft,
      options: [
        ...['scan', 'dir:.', '--quiet', '--source-name', name, '--source-version', `sha256:${sha256}`],
        ...['--override-default-catalogers', catalogers.join(','), '--output', 'cyclonedx-json@1.6'],
      ],
      env: { ...environment, HOME: directory },
      cwd: directory,
      outputLimit,
    })
    const sbom = parseJson(document)
    if (!Value.Check(Sbom, sbom)) throw new LimitedProcessError('syft wrote no CycloneDX document.')
    return withIdentity(sbom, { name, sha256 })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Names what the document is about, in place of a directory that is gone, and takes time and chance out of it. */
function withIdentity(sbom: Sbom, { name, sha256 }: Pick<RootFileSystem, 'name' | 'sha256'>): Sbom {
  const { timestamp: _timestamp, ...metadata } = sbom.metadata
  const about = {
    'bom-ref': `sha256:${sha256}`,
    type: 'file',
    name,
    hashes: [{ alg: 'SHA-256', content: sha256 }],
  }
  return { ...sbom, serialNumber: `urn:uuid:${uuidOf(sha256)}`, metadata: { ...metadata, component: about } }
}

function parseJson(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString())
  } catch {
    return undefined
  }
}

/** A UUID version 8 (RFC 9562, section 5.8) that follows from a text. */
function uuidOf(text: string): string {
  const digest = createHash('sha256').update(text).digest().subarray(0, 16)
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x80, 6)
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8)
  return digest.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
