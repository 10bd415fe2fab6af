import type { ArchiveMember } from '@edgesmith/canvos/workspace'
import { fileNamePattern } from '@edgesmith/contract/identifiers'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { sniffContentKind } from '@edgesmith/uploads/content-kind'
import { inspectArchive, type ArchiveEntry } from './archive.ts'
import type { FoundMembers } from './archive-members.ts'
import { ObjectReader } from './byte-reader.ts'
import { shown } from './entry-name.ts'
import { finding } from './finding.ts'
import { readRange, type StoredFile } from './stored-file.ts'

/** What only the bundle itself has at its root: an OCI image layout. */
const imageLayout = /^(oci-layout|index\.json|manifest\.json|blobs)(\/|$)/

/** Entries after which a tar without content directories is taken for a bundle itself. */
const searchedEntries = 1000

/** Most diagnostics about files that are left out. */
const listedOthers = 10

/**
 * Finds the `content-*` bundles in a tar. A tar without any is a bundle itself: it has no members.
 *
 * Source: CanvOS `Earthfile` (`COPY --if-exists content-*` + `/*.zst`); "Build Content Bundle".
 */
export async function findBundleMembers(store: ObjectStore, file: StoredFile): Promise<FoundMembers> {
  const members: ArchiveMember[] = []
  const others: string[] = []
  let count = 0
  const diagnostics = await inspectArchive(file, new ObjectReader(store, file), (entry) => {
    if (members.length === 0 && imageLayout.test(entry.path)) return false
    count += 1
    if (entry.isDirectory) return true
    if (isBundle(entry)) members.push({ ...entry, executable: false })
    else others.push(entry.path)
    return members.length > 0 || count < searchedEntries
  })
  if (members.length === 0) return { diagnostics }
  for (const member of members) {
    const name = member.path.slice(member.path.lastIndexOf('/') + 1)
    if (!fileNamePattern.test(name)) {
      const message = `The bundle ${shown(member.path)} in the tar needs a plain name: letters, digits, ".", "_", "+" and "-". Rename it.`
      diagnostics.push(finding(file, 'archive.odd-name', message))
    }
    const magic = await readRange(store, file, { offset: member.offset, length: Math.min(4, member.size) })
    if (sniffContentKind(magic, { isWhole: false }) !== 'zstd') {
      const message = `${shown(member.path)} in the tar is no Zstandard file. Build the bundle in the ZST format.`
      diagnostics.push(finding(file, 'content-bundle.wrong-member', message))
    }
  }
  for (const path of others.slice(0, listedOthers)) {
    const message = `${shown(path)} is left out: of a tar with content directories, CanvOS uses content-*/*.zst only. Remove it, or send it as an input of its own.`
    diagnostics.push(finding(file, 'content-bundle.left-out', message))
  }
  if (others.length > listedOthers) {
    const message = `${others.length - listedOthers} more files are left out.`
    diagnostics.push(finding(file, 'content-bundle.left-out', message))
  }
  return { members, diagnostics }
}

function isBundle({ path }: ArchiveEntry): boolean {
  return /^content-[^/]*\/[^/]+\.zst$/.test(path)
}
