import type { ArchiveMember } from '@edgesmith/canvos/workspace'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { findBundleMembers } from './bundle-members.ts'
import { findOverlayMembers } from './overlay.ts'
import { findSecureBootMembers } from './secure-boot.ts'
import type { StoredFile } from './stored-file.ts'

/** The files of a tar that are laid one by one; without them the tar is laid as it is. */
export type FoundMembers = { members?: ArchiveMember[]; diagnostics: Diagnostic[] }

/**
 * Finds the files of those tars that are laid into the workspace file by file: an overlay, Secure Boot
 * keys, and content bundles that are tars of `content-*` directories. What it answers is what
 * `layoutInputs` needs. Of a tar with a fault no file is laid.
 */
export async function withMembers<File extends StoredFile>(
  store: ObjectStore,
  files: readonly File[],
): Promise<{ files: File[]; diagnostics: Diagnostic[] }> {
  const described: File[] = []
  const diagnostics: Diagnostic[] = []
  for (const file of files) {
    const found = await findMembers(store, file)
    diagnostics.push(...found.diagnostics)
    const isRefused = found.diagnostics.some(({ severity }) => severity === 'error')
    const members = isRefused ? [] : found.members
    described.push(members === undefined ? file : { ...file, members })
  }
  return { files: described, diagnostics }
}

async function findMembers(store: ObjectStore, file: StoredFile): Promise<FoundMembers> {
  if (file.kind !== 'tar') return { diagnostics: [] }
  switch (file.role) {
    case 'contentBundle':
      return findBundleMembers(store, file)
    case 'secureBoot':
      return findSecureBootMembers(store, file)
    case 'overlay':
      return findOverlayMembers(store, file)
    default:
      return { diagnostics: [] }
  }
}
