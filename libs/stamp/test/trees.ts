import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { readEntry } from '@edgesmith/iso/file'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { readVolumeSets, volumesOf } from '@edgesmith/iso/volume-sets'

/** The entry that every directory tree of an image has for a path, by the name of the tree. */
export async function entriesOf(reader: RandomAccess, path: string): Promise<Map<string, TreeEntry>> {
  const found = new Map<string, TreeEntry>()
  for (const volume of (await readVolumeSets(reader)).flatMap(volumesOf)) {
    const tree = `${volume.kind} ${volume.base}`
    for await (const entry of walkTree(reader, volume)) {
      if (entry.path !== path) continue
      assert.ok(!found.has(tree), `${path} stands twice in the tree ${tree}`)
      found.set(tree, entry)
    }
  }
  return found
}

/** Reads a file in every directory tree. */
export async function readInEveryTree(reader: RandomAccess, path: string): Promise<Map<string, Buffer>> {
  const read = new Map<string, Buffer>()
  for (const [tree, entry] of await entriesOf(reader, path)) {
    read.set(tree, await buffer(readEntry(reader, entry)))
  }
  return read
}
