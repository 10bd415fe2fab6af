import type { Patch } from '@edgesmith/manifest/manifest'
import type { UserDataSlot } from './slot.ts'

/** The user-data of one image: bytes to be stored, and where an image has them. */
export type Stamp = {
  /** The length field in both byte orders (8 bytes) and then the user-data. */
  readonly bytes: Buffer
  /** The patches that put the user-data in the image, `bytes` being stored at byte `offset` of `object`. */
  readonly patches: (object: string, offset: number) => Patch[]
}

/** Bytes of a data length field: the number little-endian, then big-endian (ECMA-119, 7.3.3). */
const lengthSize = 8

/**
 * Replaces the user-data of an image: the file then has exactly these bytes and this length in every directory
 * tree, and the rest of its sectors is zeros.
 * @throws RangeError for user-data that does not fit in the slot
 */
export function stamp({ offset: start, capacity, lengthFields }: UserDataSlot, userData: Buffer): Stamp {
  const { length } = userData
  if (length > capacity) {
    throw new RangeError(
      `User-data of ${length} bytes does not fit in the ${capacity} bytes reserved for it.`,
    )
  }
  const field = Buffer.alloc(lengthSize)
  field.writeUInt32LE(length, 0)
  field.writeUInt32BE(length, 4)
  return {
    bytes: Buffer.concat([field, userData]),
    patches: (object, offset) => {
      const patches: Patch[] = lengthFields.map((place) => ({
        offset: place,
        extent: { length: lengthSize, object, offset },
      }))
      if (length > 0) patches.push({ offset: start, extent: { length, object, offset: offset + lengthSize } })
      if (length < capacity) {
        patches.push({ offset: start + length, extent: { length: capacity - length, zeros: true } })
      }
      return patches
    },
  }
}
