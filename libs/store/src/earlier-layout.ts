import { createReadStream } from 'node:fs'
import { readdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { isErrno } from './errno.ts'

/** Stores a file as the object of a key, unless the object is there. */
export type Adopt = (
  key: string,
  file: { readonly body: Readable; readonly modifiedAt: Date },
) => Promise<void>

/**
 * Moves what an earlier version kept as plain files, whose bytes nothing checks, to where objects are now. Can
 * be cut off at any moment and done again, and done by several processes at once.
 */
export async function adoptEarlierObjects(root: string, adopt: Adopt): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith('.')) await adoptEntry(root, name, adopt)
  }
}

async function adoptEntry(root: string, key: string, adopt: Adopt): Promise<void> {
  const path = join(root, key)
  try {
    const found = await stat(path)
    if (found.isDirectory()) {
      for (const name of await readdir(path)) await adoptEntry(root, `${key}/${name}`, adopt)
      await rmdir(path)
    } else if (found.isFile()) {
      await adopt(key, { body: createReadStream(path), modifiedAt: found.mtime })
      await rm(path)
    }
  } catch (error) {
    // Another process does the same.
    if (!isErrno(error, 'ENOENT', 'ENOTEMPTY')) throw error
  }
}
