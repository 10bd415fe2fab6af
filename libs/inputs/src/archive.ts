import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { ArchiveFault } from './archive-fault.ts'
import type { ByteReader } from './byte-reader.ts'
import { entryPath, shown } from './entry-name.ts'
import { finding } from './finding.ts'
import type { StoredFile } from './stored-file.ts'
import { readTarEntries, type TarEntry, type TarEntryType } from './tar-entries.ts'

/** An entry whose name and type are harmless. */
export type ArchiveEntry = {
  /** Below the root of the archive, without `.`, `..` or a final slash. */
  path: string
  isDirectory: boolean
  /** Size of the body in bytes. */
  size: number
  /** First byte of the body. */
  offset: number
  executable: boolean
}

/** Faults after which the rest of an archive is not looked at. */
const maximumFaults = 20

/**
 * Judges the entries of an archive one after the other, and shows those that are harmless to `visit`, which
 * answers whether to go on. Answers the faults: an archive with a fault must not be used.
 */
export async function inspectArchive(
  file: StoredFile,
  reader: ByteReader,
  visit: (entry: ArchiveEntry) => boolean | Promise<boolean>,
): Promise<Diagnostic[]> {
  const diagnostics: Diagnostic[] = []
  const seen = new PathSet()
  try {
    for await (const entry of readTarEntries(reader)) {
      try {
        const path = entryPath(entry.name)
        assertPlain(entry.type, path)
        const isDirectory = entry.type === 'directory'
        if (path === '') continue
        seen.add(path, isDirectory)
        const { size, offset, mode } = entry
        if (!(await visit({ path, isDirectory, size, offset, executable: (mode & 0o100) !== 0 }))) break
      } catch (error) {
        if (!(error instanceof ArchiveFault)) throw error
        diagnostics.push(finding(file, error.code, error.message))
        if (diagnostics.length < maximumFaults) continue
        const message = 'The rest of the archive was not looked at. Correct these faults first.'
        diagnostics.push(finding(file, 'archive.more-faults', message))
        break
      }
    }
  } catch (error) {
    if (!(error instanceof ArchiveFault)) throw error
    diagnostics.push(finding(file, error.code, error.message))
  }
  return diagnostics
}

function assertPlain(type: TarEntry['type'], path: string): void {
  const fault = faultsOfTypes[type]
  if (fault !== undefined) throw new ArchiveFault(fault.code, `The archive has ${fault.what(shown(path))}`)
}

const faultsOfTypes: Partial<
  Record<TarEntryType, { code: ArchiveFault['code']; what: (name: string) => string }>
> = {
  link: {
    code: 'archive.link',
    what: (name) =>
      `the link ${name}. Put the file itself there (tar --dereference --hard-dereference), or make the link in a Dockerfile.`,
  },
  device: { code: 'archive.device', what: (name) => `the device or FIFO ${name}. Pack it again without it.` },
  sparse: {
    code: 'archive.sparse',
    what: (name) => `the sparse file ${name}. Pack it again without the option --sparse.`,
  },
  other: {
    code: 'archive.unknown-type',
    what: (name) => `the entry ${name}, which is neither file nor directory. Pack it again with tar -cf.`,
  },
}

/** The paths met so far: a file may be there once, and nothing may lie below it. */
class PathSet {
  readonly #files = new Set<string>()
  readonly #directories = new Set<string>()

  /** @throws ArchiveFault `archive.duplicate` */
  add(path: string, isDirectory: boolean): void {
    const parents = path
      .split('/')
      .slice(0, -1)
      .map((_, index, all) => all.slice(0, index + 1).join('/'))
    const clash =
      this.#files.has(path) ||
      (!isDirectory && this.#directories.has(path)) ||
      parents.some((parent) => this.#files.has(parent))
    if (clash) {
      throw new ArchiveFault(
        'archive.duplicate',
        `The archive has ${shown(path)} twice, or as a file and a directory. Pack it again with each path once.`,
      )
    }
    for (const parent of parents) this.#directories.add(parent)
    if (isDirectory) this.#directories.add(path)
    else this.#files.add(path)
  }
}
