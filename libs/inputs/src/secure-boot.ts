import type { ArchiveMember } from '@edgesmith/canvos/workspace'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { inspectArchive } from './archive.ts'
import type { FoundMembers } from './archive-members.ts'
import { ObjectReader } from './byte-reader.ts'
import { shown } from './entry-name.ts'
import { finding } from './finding.ts'
import type { StoredFile } from './stored-file.ts'

const directories = ['enrollment', 'private-keys', 'public-keys', 'exported-keys']
const filePath = new RegExp(`^secure-boot/(?:${directories.join('|')})/([^/]+)$`)
const directoryPath = new RegExp(`^secure-boot(?:/(?:${directories.join('|')}))?$`)

/** What a build cannot do without (CanvOS `README.md`, Trusted Boot; enki signs with `db` and the PCR key). */
const needed = [
  { what: 'a file in secure-boot/enrollment/', path: /^secure-boot\/enrollment\// },
  { what: 'secure-boot/private-keys/db.key', path: /^secure-boot\/private-keys\/db\.key$/ },
  {
    what: 'secure-boot/private-keys/tpm2-pcr-private.pem',
    path: /^secure-boot\/private-keys\/tpm2-pcr-private\.pem$/,
  },
  { what: 'secure-boot/public-keys/db.pem', path: /^secure-boot\/public-keys\/db\.pem$/ },
]

/**
 * Finds the Secure Boot keys in their tar.
 *
 * Source: CanvOS `Earthfile` (`COPY secure-boot/enrollment/ secure-boot/private-keys/
 * secure-boot/public-keys/ /keys`).
 */
export async function findSecureBootMembers(store: ObjectStore, file: StoredFile): Promise<FoundMembers> {
  const members: ArchiveMember[] = []
  const strangers: string[] = []
  const diagnostics = await inspectArchive(file, new ObjectReader(store, file), (entry) => {
    const expected = entry.isDirectory ? directoryPath : filePath
    if (!expected.test(entry.path)) strangers.push(entry.path)
    else if (!entry.isDirectory) members.push({ ...entry, executable: false })
    return strangers.length < 20
  })
  for (const path of strangers) {
    const message = `${shown(path)} does not belong into the tar of Secure Boot keys, which has secure-boot/{${directories.join(',')}}/ only. Pack it with: tar -cf secure-boot.tar secure-boot.`
    diagnostics.push(finding(file, 'secure-boot.path', message))
  }
  if (diagnostics.length > 0) return { members, diagnostics }
  for (const { what, path } of needed) {
    if (members.some((member) => path.test(member.path))) continue
    const message = `The tar lacks ${what}. Make the keys with CanvOS's +uki-genkey and pack all of secure-boot/.`
    diagnostics.push(finding(file, 'secure-boot.missing', message))
  }
  const names = new Map<string, string>()
  for (const { path } of members) {
    // These are for making keys and are not copied with the others.
    if (path.startsWith('secure-boot/exported-keys/')) continue
    const name = filePath.exec(path)?.[1] ?? path
    const other = names.get(name)
    names.set(name, path)
    if (other === undefined) continue
    const message = `CanvOS puts ${other} and ${path} into one directory, so that one would replace the other. Rename one of them.`
    diagnostics.push(finding(file, 'secure-boot.name-clash', message))
  }
  return { members, diagnostics }
}
