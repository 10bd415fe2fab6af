import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { SquashfsTree } from '@edgesmith/iso/squashfs-tree'

/** What tells the distribution: without it nobody knows whose packages they are. */
const releaseFiles = ['/etc/os-release', '/usr/lib/os-release', '/etc/alpine-release', '/etc/debian_version']

/** The databases of dpkg, apk and rpm, the latter in the three forms and places that distributions have it in. */
const databases = [
  '/var/lib/dpkg/status',
  '/lib/apk/db/installed',
  ...['/var/lib/rpm', '/usr/lib/sysimage/rpm', '/usr/share/rpm'].flatMap((directory) =>
    ['rpmdb.sqlite', 'Packages.db', 'Packages'].map((name) => `${directory}/${name}`),
  ),
]

/** Where images without dpkg itself have an entry for each package (Bazel's and Google's distroless). */
const statusDirectory = '/var/lib/dpkg/status.d'
const plainName = /^[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}$/

/** Bytes that are taken of one file, and of all together. */
const fileLimit = 128 * 1024 * 1024
const totalLimit = 256 * 1024 * 1024

/** A root file system has no database of packages that is known here. */
export class NoPackages extends Error {
  override name = 'NoPackages'
}

/**
 * Copies what tells the packages of a root file system, under the same paths, to a directory: plain files alone,
 * under names that are known beforehand.
 * @throws NoPackages when there is no database of packages, IsoError
 */
export async function takePackageDatabases(tree: SquashfsTree, directory: string): Promise<void> {
  const entries = (await tree.names(statusDirectory)).filter((name) => plainName.test(name))
  const wanted = [...databases, ...entries.map((name) => `${statusDirectory}/${name}`)]
  let taken = 0
  let total = 0
  for (const path of [...releaseFiles, ...wanted]) {
    const bytes = await tree.readFile(path, Math.min(fileLimit, totalLimit - total))
    if (bytes === undefined) continue
    total += bytes.length
    if (wanted.includes(path)) taken += 1
    await mkdir(join(directory, dirname(path)), { recursive: true, mode: 0o755 })
    await writeFile(join(directory, path), bytes, { mode: 0o644 })
  }
  if (taken === 0) throw new NoPackages('It has no database of dpkg, rpm or apk.')
}
