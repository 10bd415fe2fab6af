import type { RandomAccess } from '@edgesmith/iso/random-access'

/** An image with other bytes in some places. */
export function withBytes(
  reader: RandomAccess,
  ...changes: readonly (readonly [offset: number, bytes: Buffer])[]
): RandomAccess {
  return {
    size: reader.size,
    async read(offset, length) {
      const bytes = Buffer.from(await reader.read(offset, length))
      for (const [place, changed] of changes) {
        for (const [index, byte] of changed.entries()) {
          const at = place + index - offset
          if (at >= 0 && at < bytes.length) bytes[at] = byte
        }
      }
      return bytes
    },
  }
}

/** An image of which one byte has all its bits turned. */
export async function withTurnedByte(reader: RandomAccess, offset: number): Promise<RandomAccess> {
  const byte = (await reader.read(offset, 1)).readUInt8(0)
  return withBytes(reader, [offset, Buffer.from([byte ^ 0xff])])
}

/** A number of 32 bits in both byte orders (ECMA-119, 7.3.3). */
export function bothEndian(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(value, 0)
  bytes.writeUInt32BE(value, 4)
  return bytes
}
