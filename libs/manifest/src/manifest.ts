import { createHash } from 'node:crypto'
import { Type, type Static } from 'typebox'

const length = Type.Integer({ minimum: 1, description: 'Bytes of the image that this extent is.' })

/** Bytes of an image: a range of an object of the store, or zeros that are stored nowhere. */
export const Extent = Type.Union([
  Type.Object(
    {
      length,
      object: Type.String({ minLength: 1, description: 'Key of the object.' }),
      offset: Type.Integer({ minimum: 0, description: 'First byte of the range within the object.' }),
    },
    { additionalProperties: false },
  ),
  Type.Object({ length, zeros: Type.Literal(true) }, { additionalProperties: false }),
])

/** An image as the extents that make it up, one behind the other; adjoining ones are joined. */
export const Manifest = Type.Object(
  { size: Type.Integer({ minimum: 0, description: 'Size in bytes.' }), extents: Type.Array(Extent) },
  { title: 'Manifest', additionalProperties: false },
)

export type Extent = Static<typeof Extent>
export type Manifest = Static<typeof Manifest>

/** A part of an image: the first byte and how many. */
export type Range = { readonly offset: number; readonly length: number }

/** Bytes that take the place of others of the same number; `extent.length` is that number. */
export type Patch = { readonly offset: number; readonly extent: Extent }

/** The manifest of one whole object. */
export function objectManifest(object: string, size: number): Manifest {
  return makeManifest(size === 0 ? [] : [{ length: size, object, offset: 0 }])
}

/** Joins extents to a manifest; neighbours that continue each other become one, empty ones none. */
export function makeManifest(extents: Iterable<Extent>): Manifest {
  const joined: Extent[] = []
  let size = 0
  for (const extent of extents) {
    if (extent.length === 0) continue
    size += extent.length
    const last = joined.at(-1)
    if (last !== undefined && continues(last, extent)) {
      joined[joined.length - 1] = { ...last, length: last.length + extent.length }
    } else joined.push(extent)
  }
  return { size, extents: joined }
}

function continues(last: Extent, next: Extent): boolean {
  if ('zeros' in last || 'zeros' in next) return 'zeros' in last && 'zeros' in next
  return last.object === next.object && last.offset + last.length === next.offset
}

/** The extents of a range of the image. Throws a `RangeError` for one that is not within it. */
export function sliceManifest({ size, extents }: Manifest, { offset, length }: Range): Extent[] {
  if (offset < 0 || length < 0 || offset + length > size) {
    throw new RangeError(`Bytes ${offset} to ${offset + length} are not within an image of ${size} bytes.`)
  }
  const slice: Extent[] = []
  let start = 0
  for (const extent of extents) {
    const from = Math.max(offset, start)
    const to = Math.min(offset + length, start + extent.length)
    if (from < to) slice.push(cut(extent, from - start, to - from))
    start += extent.length
    if (start >= offset + length) break
  }
  return slice
}

function cut(extent: Extent, skip: number, length: number): Extent {
  return 'zeros' in extent ? { length, zeros: true } : { ...extent, length, offset: extent.offset + skip }
}

/**
 * The image with some of its bytes replaced. Its size stays.
 * @throws RangeError for a patch that overlaps another or reaches over the end
 */
export function patchManifest(manifest: Manifest, patches: readonly Patch[]): Manifest {
  const extents: Extent[] = []
  let position = 0
  for (const { offset, extent } of [...patches].sort((a, b) => a.offset - b.offset)) {
    if (offset < position) throw new RangeError(`The patch at byte ${offset} overlaps another.`)
    if (offset + extent.length > manifest.size) {
      throw new RangeError(`The patch at byte ${offset} reaches over the end of the image.`)
    }
    extents.push(...sliceManifest(manifest, { offset: position, length: offset - position }), extent)
    position = offset + extent.length
  }
  extents.push(...sliceManifest(manifest, { offset: position, length: manifest.size - position }))
  return makeManifest(extents)
}

/** The objects that the image is made of, each once. */
export function objectsOf({ extents }: Manifest): string[] {
  return [...new Set(extents.flatMap((extent) => ('zeros' in extent ? [] : [extent.object])))]
}

/**
 * Identity of the image's bytes, 64 hex digits: of two manifests with the same identity the images are the
 * same, because objects never change. The converse does not hold.
 */
export function manifestId({ extents }: Manifest): string {
  const text = JSON.stringify(
    extents.map((extent) =>
      'zeros' in extent ? [extent.length] : [extent.length, extent.object, extent.offset],
    ),
  )
  return createHash('sha256').update(text).digest('hex')
}
