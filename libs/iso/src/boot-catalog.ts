import { IsoError } from './fault.ts'
import { readExactly } from './random-access.ts'
import type { RandomAccess } from './random-access.ts'
import { sectorSize } from './volume.ts'

const entrySize = 32

/** Platforms of the El Torito specification, 2.1, and of UEFI, 13.3.2.1. */
const platforms = new Map([
  [0x00, 'bios'],
  [0x01, 'powerpc'],
  [0x02, 'mac'],
  [0xef, 'efi'],
] as const)

const emulations = ['none', '1.2M', '1.44M', '2.88M', 'hard-disk'] as const

/** One boot image that the firmware can choose. */
export type BootEntry = {
  platform: 'bios' | 'efi' | 'powerpc' | 'mac' | 'unknown'
  bootable: boolean
  emulation: (typeof emulations)[number]
  /** Where the boot image begins, in bytes of the image. */
  offset: number
  /** How many bytes the catalogue tells the firmware to load; the image itself may be longer. */
  loadLength: number
}

/**
 * Reads the El Torito boot catalogue at `offset` (bytes): the validation entry, the default entry,
 * and the entries of each section.
 * @throws IsoError `invalid-boot-catalog`, `truncated`
 */
export async function readBootCatalog(reader: RandomAccess, offset: number, base = 0): Promise<BootEntry[]> {
  const catalog = await readExactly(reader, offset, sectorSize, 'the boot catalogue')
  const validation = catalog.subarray(0, entrySize)
  checkValidationEntry(validation)

  const entries = [parseEntry(catalog.subarray(entrySize, 2 * entrySize), validation.readUInt8(1), base)]
  let position = 2 * entrySize
  let more = true
  while (more && position + entrySize <= catalog.length) {
    const header = catalog.subarray(position, position + entrySize)
    const indicator = header.readUInt8(0)
    if (indicator !== 0x90 && indicator !== 0x91) break
    more = indicator === 0x90
    position += entrySize
    for (let remaining = header.readUInt16LE(2); remaining > 0; remaining--) {
      if (position + entrySize > catalog.length) {
        throw new IsoError(
          'invalid-boot-catalog',
          'A section of the boot catalogue names more entries than fit.',
        )
      }
      const entry = catalog.subarray(position, position + entrySize)
      entries.push(parseEntry(entry, header.readUInt8(1), base))
      position += entrySize
      position = skipExtensions(catalog, position, entry)
    }
  }
  return entries
}

function checkValidationEntry(validation: Buffer): void {
  if (validation.readUInt8(0) !== 1 || validation.readUInt16LE(30) !== 0xaa55) {
    throw new IsoError('invalid-boot-catalog', 'The boot catalogue does not begin with a validation entry.')
  }
  let sum = 0
  for (let word = 0; word < entrySize; word += 2) sum = (sum + validation.readUInt16LE(word)) & 0xffff
  if (sum !== 0) {
    throw new IsoError(
      'invalid-boot-catalog',
      "The checksum of the boot catalogue's validation entry is wrong.",
    )
  }
}

function parseEntry(entry: Buffer, platform: number, base: number): BootEntry {
  const indicator = entry.readUInt8(0)
  if (indicator !== 0x88 && indicator !== 0x00) {
    throw new IsoError('invalid-boot-catalog', `An entry of the boot catalogue begins with ${indicator}.`)
  }
  const emulation = emulations[entry.readUInt8(1) & 0x0f]
  if (emulation === undefined) {
    throw new IsoError('invalid-boot-catalog', 'An entry of the boot catalogue has an unknown media type.')
  }
  return {
    platform: platforms.get(platform as 0) ?? 'unknown',
    bootable: indicator === 0x88,
    emulation,
    offset: base + entry.readUInt32LE(8) * sectorSize,
    loadLength: entry.readUInt16LE(6) * 512,
  }
}

/** Skips the extension records (0x44) that follow an entry whose media type has bit 5 set. */
function skipExtensions(catalog: Buffer, start: number, entry: Buffer): number {
  let position = start
  let more = (entry.readUInt8(1) & 0x20) !== 0
  while (more && position + entrySize <= catalog.length && catalog.readUInt8(position) === 0x44) {
    more = (catalog.readUInt8(position + 1) & 0x20) !== 0
    position += entrySize
  }
  return position
}
