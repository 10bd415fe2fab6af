import { IsoError } from './fault.ts'
import type { RandomAccess } from './random-access.ts'

/** Bytes in a sector of the medium, and in a logical block of every image CanvOS makes. */
export const sectorSize = 2048

/** Sectors before the first volume descriptor: the system area (ECMA-119, 6.2.1). */
const systemAreaSectors = 16

/** An extent as a directory record or a volume descriptor tells it: all in bytes of the image. */
export type Extent = { offset: number; length: number }

/** One volume descriptor: the whole of a directory tree. */
export type Volume = {
  kind: 'primary' | 'joliet'
  volumeId: string
  systemId: string
  /** The volume's size in bytes. */
  size: number
  /** Bytes of the image that come before the volume's block 0. */
  base: number
  /** Bytes in a logical block; extents are counted in them. */
  blockSize: number
  root: Extent
}

/** The volume descriptors found at one place of an image. */
export type VolumeSet = {
  primary: Volume
  joliet?: Volume
  /**
   * Descriptors of further trees, which this package does not read: those of ISO 9660:1999 (type 2 without
   * a Joliet escape sequence) and second ones of a kind.
   */
  unreadTrees: number
  /** Where the El Torito boot catalogue is, in bytes of the image. */
  bootCatalogOffset?: number
}

/**
 * Reads the volume descriptors (ECMA-119, 8; Joliet specification, 4).
 * `base` is where the volume begins, in bytes: 0, or the start of the first partition in an image
 * made with xorriso's `-partition_offset`, which has a second set of descriptors there.
 * @throws IsoError `not-iso9660` when there are none, or they contradict themselves
 */
export async function readVolumes(reader: RandomAccess, base = 0): Promise<VolumeSet> {
  let primary: Volume | undefined
  let joliet: Volume | undefined
  let bootCatalogOffset: number | undefined
  let unreadTrees = 0
  for (let sector = systemAreaSectors; sector < systemAreaSectors + 64; sector++) {
    const descriptor = await reader.read(base + sector * sectorSize, sectorSize)
    if (descriptor.length < sectorSize || descriptor.toString('latin1', 1, 6) !== 'CD001') {
      if (primary === undefined) {
        throw new IsoError(
          'not-iso9660',
          'The file holds no ISO 9660 volume: no CD001 descriptor in its place.',
        )
      }
      throw new IsoError('not-iso9660', 'The ISO 9660 volume descriptors have no terminator.')
    }
    const type = descriptor.readUInt8(0)
    if (type === 255) break
    if (type === 0) bootCatalogOffset ??= parseBootRecord(descriptor, base)
    else if (type === 1 && primary === undefined) primary = parseVolume(descriptor, 'primary', base)
    else if (type === 2 && joliet === undefined && isJoliet(descriptor)) {
      joliet = parseVolume(descriptor, 'joliet', base)
    } else if (type === 1 || type === 2) unreadTrees++
  }
  if (primary === undefined) {
    throw new IsoError('not-iso9660', 'The file holds no primary volume descriptor.')
  }
  return {
    primary,
    unreadTrees,
    ...(joliet === undefined ? {} : { joliet }),
    ...(bootCatalogOffset === undefined ? {} : { bootCatalogOffset }),
  }
}

/**
 * Tells whether a second set of volume descriptors stands at `base`, and reads it.
 * @throws IsoError `not-iso9660` when there is one that contradicts itself
 */
export async function readVolumesIfAny(reader: RandomAccess, base: number): Promise<VolumeSet | undefined> {
  const id = await reader.read(base + systemAreaSectors * sectorSize + 1, 5)
  return id.toString('latin1') === 'CD001' ? readVolumes(reader, base) : undefined
}

/** Decodes the big-endian UCS-2 text of Joliet. */
export function decodeUcs2(bytes: Buffer): string {
  return Buffer.from(bytes.subarray(0, bytes.length & ~1))
    .swap16()
    .toString('utf16le')
}

/** Reads a 32-bit number that is recorded in both byte orders, which have to agree (ECMA-119, 7.3.3). */
export function readBothEndian32(bytes: Buffer, offset: number, what: string): number {
  const little = bytes.readUInt32LE(offset)
  if (little !== bytes.readUInt32BE(offset + 4)) {
    throw new IsoError('not-iso9660', `The two byte orders of ${what} disagree.`)
  }
  return little
}

function readBothEndian16(bytes: Buffer, offset: number, what: string): number {
  const little = bytes.readUInt16LE(offset)
  if (little !== bytes.readUInt16BE(offset + 2)) {
    throw new IsoError('not-iso9660', `The two byte orders of ${what} disagree.`)
  }
  return little
}

function isJoliet(descriptor: Buffer): boolean {
  return ['%/@', '%/C', '%/E'].includes(descriptor.toString('latin1', 88, 91))
}

function parseBootRecord(descriptor: Buffer, base: number): number | undefined {
  const system = descriptor.toString('latin1', 7, 39).replaceAll('\0', '')
  return system === 'EL TORITO SPECIFICATION' ? base + descriptor.readUInt32LE(71) * sectorSize : undefined
}

function parseVolume(descriptor: Buffer, kind: Volume['kind'], base: number): Volume {
  const text = (start: number, end: number) => {
    const field = descriptor.subarray(start, end)
    return (kind === 'joliet' ? decodeUcs2(field) : field.toString('latin1')).replace(/(?<![ \0])[ \0]+$/, '')
  }
  const blockSize = readBothEndian16(descriptor, 128, 'the logical block size')
  if (![512, 1024, 2048].includes(blockSize)) {
    throw new IsoError('not-iso9660', `The volume has a logical block size of ${blockSize} bytes.`)
  }
  const blocks = readBothEndian32(descriptor, 80, 'the volume size')
  const rootBlock = readBothEndian32(descriptor, 158, 'the place of the root directory')
  const rootLength = readBothEndian32(descriptor, 166, 'the size of the root directory')
  return {
    kind,
    volumeId: text(40, 72),
    systemId: text(8, 40),
    size: blocks * blockSize,
    base,
    blockSize,
    root: { offset: base + rootBlock * blockSize, length: rootLength },
  }
}
