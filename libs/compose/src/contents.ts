import type { RandomAccess } from '@edgesmith/iso/random-access'
import { walkTree } from '@edgesmith/iso/tree'
import { readVolumes } from '@edgesmith/iso/volume'
import { makeManifest, manifestId, sliceManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { ComposeError } from './compose-error.ts'
import { draftLength } from './draft-sources.ts'
import type { Place } from './relocation.ts'

/** A place of the draft with what is to lie there. */
export type Content = Place & { readonly manifest: Manifest }

/**
 * Finds where xorriso laid the large files, each place once, in their order.
 * @throws ComposeError when one is missing, or has neither the size it has in a draft nor its own
 */
export async function findContents(
  draft: RandomAccess,
  large: ReadonlyMap<string, Manifest>,
): Promise<Content[]> {
  const contents = new Map<number, Content>()
  const missing = new Set(large.keys())
  const { primary } = await readVolumes(draft)
  for await (const { type, path, size, extents } of walkTree(draft, primary)) {
    const content = large.get(path)
    if (content === undefined || type !== 'file') continue
    missing.delete(path)
    const isWhole = size === content.size
    if (!isWhole && (size !== draftLength(content.size) || extents.length !== 1)) {
      throw new ComposeError(`xorriso made ${size} bytes of ${path}, which has ${content.size}.`)
    }
    let done = 0
    for (const { offset, length: drafted } of extents) {
      const length = isWhole ? drafted : content.size
      const manifest = makeManifest(sliceManifest(content, { offset: done, length }))
      done += length
      const other = contents.get(offset)
      if (other !== undefined && manifestId(other.manifest) !== manifestId(manifest)) {
        throw new ComposeError(`xorriso laid ${path} where another file is.`)
      }
      contents.set(offset, { offset, draftLength: drafted, length, manifest })
    }
  }
  if (missing.size > 0) throw new ComposeError(`xorriso left out ${[...missing].join(', ')}.`)
  return [...contents.values()].sort((a, b) => a.offset - b.offset)
}
