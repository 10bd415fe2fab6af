import { createGunzip } from 'node:zlib'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { ClusterDefinition } from '@edgesmith/contract/validation'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { sniffContentKind } from '@edgesmith/uploads/content-kind'
import { inspectArchive, type ArchiveEntry } from './archive.ts'
import { ArchiveFault } from './archive-fault.ts'
import { StreamReader } from './byte-reader.ts'
import { findProfiles } from './cluster-profiles.ts'
import { finding } from './finding.ts'
import { shown } from './entry-name.ts'
import type { StoredFile } from './stored-file.ts'

/** Most bytes that a cluster definition may unpack to: real ones have a few hundred KiB. */
export const unpackedLimit = 256 * 1024 * 1024

/** Most bytes of a JSON file that is looked at, and of all together. */
const documentLimit = 4 * 1024 * 1024
const documentsLimit = 32 * 1024 * 1024

export type CheckedDefinition = { definition?: ClusterDefinition; diagnostics: Diagnostic[] }

/**
 * Checks a cluster definition, a tar in gzip, and lists the cluster profiles in it. It is unpacked as a
 * stream, in bounded memory, and nothing is written.
 *
 * Source: documentation "Export Cluster Definition". What the files in it are is not documented: an archive
 * in which no profile is recognized passes with a warning.
 */
export async function checkClusterDefinition(
  store: ObjectStore,
  file: StoredFile,
): Promise<CheckedDefinition> {
  const profiles = new Map<string, ClusterDefinition['profiles'][number]>()
  const source = await store.get(file.objectKey)
  const unpacked = createGunzip()
  source.on('error', (error) => unpacked.destroy(error))
  source.pipe(unpacked)
  try {
    const reader = new StreamReader(unpacked, unpackedLimit)
    const head = await reader.read(0, 2)
    if (sniffContentKind(head, { isWhole: false }) === 'gzip') {
      const message =
        'The file is compressed twice. Send it as Palette exports it, or unpack it once: gunzip.'
      return { diagnostics: [finding(file, 'archive.nested-gzip', message)] }
    }
    let files = 0
    let left = documentsLimit
    const diagnostics = await inspectArchive(file, reader, async (entry) => {
      if (!entry.isDirectory) files += 1
      if (!isDocument(entry) || entry.size > left) return true
      left -= entry.size
      for (const profile of findProfiles(parseJson(await reader.read(entry.offset, entry.size)))) {
        profiles.set(JSON.stringify(profile), profile)
      }
      return true
    })
    if (diagnostics.length > 0) return { diagnostics }
    if (files === 0) {
      const message = 'The cluster definition has no file. Export it again.'
      return { diagnostics: [finding(file, 'archive.empty', message)] }
    }
    await reader.drain()
    return listed(file, [...profiles.values()])
  } catch (error) {
    if (error instanceof ArchiveFault) return { diagnostics: [finding(file, error.code, error.message)] }
    if (isGzipError(error)) {
      const message = 'The gzip stream is damaged or incomplete. Send the file again, unchanged.'
      return { diagnostics: [finding(file, 'cluster-definition.corrupt', message)] }
    }
    throw error
  } finally {
    source.destroy()
    unpacked.destroy()
  }
}

function listed(file: StoredFile, profiles: ClusterDefinition['profiles']): CheckedDefinition {
  if (profiles.length === 0) {
    const message =
      'No cluster profile was recognized in the cluster definition. Make sure that it is the file that Palette exported.'
    return {
      definition: { profiles },
      diagnostics: [finding(file, 'cluster-definition.no-profiles', message)],
    }
  }
  const names = profiles.map(({ name, version }) =>
    shown(version === undefined ? name : `${name} ${version}`),
  )
  const message = `The cluster definition has ${profiles.length === 1 ? 'the cluster profile' : 'the cluster profiles'} ${names.slice(0, 20).join(', ')}${names.length > 20 ? ` and ${names.length - 20} more` : ''}.`
  return { definition: { profiles }, diagnostics: [finding(file, 'cluster-definition.profiles', message)] }
}

function isDocument({ path, isDirectory, size }: ArchiveEntry): boolean {
  return !isDirectory && path.toLowerCase().endsWith('.json') && size <= documentLimit
}

/** A file that is not JSON after all has no profile. */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined
    throw error
  }
}

function isGzipError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}
