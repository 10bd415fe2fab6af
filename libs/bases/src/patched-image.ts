import type { RandomAccess } from '@edgesmith/iso/random-access'
import type { Patch } from '@edgesmith/manifest/manifest'

/** Reads an image of which some bytes are replaced by ones that are at hand. */
export class PatchedImage implements RandomAccess {
  readonly size: number
  readonly #image: RandomAccess
  readonly #patches: readonly Patch[]
  readonly #bytes: Buffer

  /** The extents of the patches are ranges of `bytes`, or zeros. */
  constructor(image: RandomAccess, patches: readonly Patch[], bytes: Buffer) {
    this.size = image.size
    this.#image = image
    this.#patches = patches
    this.#bytes = bytes
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const end = Math.min(offset + length, this.size)
    const covering = this.#patches.find(
      (patch) => patch.offset <= offset && patch.offset + patch.extent.length >= end,
    )
    if (covering !== undefined) return this.#content(covering, offset, end)
    const read = Buffer.from(await this.#image.read(offset, length))
    for (const patch of this.#patches) {
      const from = Math.max(offset, patch.offset)
      const to = Math.min(end, patch.offset + patch.extent.length)
      if (from < to) this.#content(patch, from, to).copy(read, from - offset)
    }
    return read
  }

  /** The bytes of a patch from one offset of the image to another. */
  #content({ offset, extent }: Patch, from: number, to: number): Buffer {
    if ('zeros' in extent) return Buffer.alloc(to - from)
    return this.#bytes.subarray(extent.offset + from - offset, extent.offset + to - offset)
  }
}
