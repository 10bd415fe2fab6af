import { makeManifest, type Extent, type Manifest } from '@edgesmith/manifest/manifest'
import { largeFileSize, type BaseImage } from './base-image.ts'
import { ComposeError } from './compose-error.ts'
import { manifestOf } from './draft-sources.ts'
import { assertImagePath, directoriesAbove, isWithin } from './image-path.ts'

/** A file to add, its content given as bytes or as ranges of objects. */
export type FileToAdd = {
  readonly path: string
  readonly source: { readonly bytes: Buffer } | { readonly extents: readonly Extent[] }
}

/** What is to be done to make an image of a base. */
export type Plan = {
  /** Directories to make, parents first. */
  directories: string[]
  add: { path: string; content: Buffer | Manifest }[]
  /** By path, the contents of the new image that are referred to, in the order in which they are to lie. */
  large: Map<string, Manifest>
}

/**
 * Plans the changes of a base.
 * @throws RangeError for a path that is none or is added twice; ComposeError when a path is to be removed that
 * is not there, or one is changed that is needed to boot
 */
export function planChanges(
  base: Manifest,
  image: BaseImage,
  { remove, add }: { remove: readonly string[]; add: readonly FileToAdd[] },
): Plan {
  for (const path of [...remove, ...add.map((file) => file.path)]) assertImagePath(path)
  for (const path of remove) {
    if (!image.entries.has(path)) throw new ComposeError(`The image has no ${path} that could be removed.`)
  }
  const added = new Map(add.map(({ path, source }) => [path, contentOf(source)]))
  if (added.size < add.length) throw new RangeError('Two files are to be added at one path.')
  const isRemoved = (path: string) => remove.some((directory) => isWithin(path, directory))
  const typeOf = (path: string) => (isRemoved(path) ? undefined : image.entries.get(path)?.type)
  for (const path of image.boot) {
    if (isRemoved(path) || added.has(path)) throw new ComposeError(`The image needs ${path} to boot.`)
  }

  const directories = new Set<string>()
  for (const path of added.keys()) {
    if (typeOf(path) === 'directory') throw new ComposeError(`${path} is a directory.`)
    for (const directory of directoriesAbove(path)) {
      const type = typeOf(directory)
      if (type === undefined) directories.add(directory)
      else if (type !== 'directory') throw new ComposeError(`${directory} is no directory.`)
    }
  }
  const large = new Map<string, Manifest>()
  const kept = [...image.large].flatMap((path) => image.entries.get(path) ?? [])
  for (const entry of kept.sort((a, b) => firstByte(a) - firstByte(b))) {
    if (!isRemoved(entry.path) && !added.has(entry.path)) large.set(entry.path, manifestOf(base, entry))
  }
  for (const [path, content] of added) {
    if (!Buffer.isBuffer(content) && content.size >= largeFileSize) large.set(path, content)
  }
  for (const directory of directories) {
    if (added.has(directory)) throw new ComposeError(`${directory} is to be both a file and a directory.`)
  }
  return {
    directories: [...directories],
    add: [...added].map(([path, content]) => ({ path, content })),
    large,
  }
}

function contentOf(source: FileToAdd['source']): Buffer | Manifest {
  return 'bytes' in source ? source.bytes : makeManifest(source.extents)
}

function firstByte({ extents }: { extents: readonly { offset: number }[] }): number {
  return extents[0]?.offset ?? 0
}
