import type { ArchiveMember } from '@edgesmith/canvos/workspace'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { inspectArchive } from './archive.ts'
import type { FoundMembers } from './archive-members.ts'
import { ObjectReader } from './byte-reader.ts'
import { shown } from './entry-name.ts'
import { finding } from './finding.ts'
import { readRange, type StoredFile } from './stored-file.ts'

/** The paths of the CanvOS tree that an overlay may set, each with what CanvOS does with it. */
export const overlayPaths = [
  {
    path: 'Dockerfile',
    pattern: /^Dockerfile$/,
    reason: 'CanvOS’s own place for customizations: its lines are built into every image (`+base-image`).',
  },
  {
    path: 'overlay/files/**',
    pattern: /^overlay\/files\/.+$/,
    reason:
      'Copied to the root of the installer’s file system (`+iso-image`); `etc/` to provider images too.',
  },
  {
    path: 'overlay/files-iso/**',
    pattern: /^overlay\/files-iso\/.+$/,
    reason: 'Copied to the root of the ISO (`+build-iso`).',
  },
] as const

/** Paths below these that have inputs of their own, which are checked and proved to be in the ISO. */
export const ownedPaths =
  /^overlay\/files-iso\/(opt\/spectrocloud\/(content|clusterconfig)\/.*\.(zst|tgz|tar)(_part\d+)?|files-iso\/config\.yaml|config\.yaml|\.edge_custom_config\.yaml)$/

const parents = /^overlay(\/files|\/files-iso)?$/

/** Most bytes of a Dockerfile that are looked at. */
export const dockerfileLimit = 1024 * 1024

/** Finds the files of an overlay: those of the list above, and nothing else. */
export async function findOverlayMembers(store: ObjectStore, file: StoredFile): Promise<FoundMembers> {
  const members: ArchiveMember[] = []
  const strangers: Diagnostic[] = []
  const diagnostics = await inspectArchive(file, new ObjectReader(store, file), (entry) => {
    const { path, isDirectory } = entry
    if (isDirectory && parents.test(path)) return true
    if (!overlayPaths.some(({ pattern }) => pattern.test(path)) || (isDirectory && path === 'Dockerfile')) {
      const message = `${shown(path)} cannot be set by an overlay, which may hold ${overlayPaths.map((allowed) => allowed.path).join(', ')}. Remove it.`
      strangers.push(finding(file, 'overlay.path', message))
    } else if (ownedPaths.test(path)) {
      const message = `${shown(path)} has an input of its own. Send it as that input, so that it is checked, and remove it from the overlay.`
      strangers.push(finding(file, 'overlay.path', message))
    } else if (!isDirectory) members.push(entry)
    return strangers.length < 20
  })
  diagnostics.push(...strangers)
  if (diagnostics.length === 0 && members.length === 0) {
    diagnostics.push(
      finding(file, 'archive.empty', 'The overlay has no file. Pack at least one, or do not send it.'),
    )
  }
  const dockerfile = members.find(({ path }) => path === 'Dockerfile')
  if (dockerfile !== undefined) {
    const { offset, size } = dockerfile
    const text = await readRange(store, file, { offset, length: Math.min(size, dockerfileLimit) })
    if (!/^[ \t]*FROM[ \t]+(--\S+[ \t]+)*\$(BASE|\{BASE\})(\s|$)/im.test(text.toString('latin1'))) {
      const message =
        'The Dockerfile has no line "FROM $BASE", so the image would not be built from BASE_IMAGE. Begin it as CanvOS’s own: ARG BASE, then FROM $BASE.'
      diagnostics.push(finding(file, 'overlay.dockerfile-base', message))
    }
  }
  return { members, diagnostics }
}
