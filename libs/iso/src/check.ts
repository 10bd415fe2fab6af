import { readBootCatalog } from './boot-catalog.ts'
import type { BootEntry } from './boot-catalog.ts'
import { IsoError } from './fault.ts'
import type { IsoFault } from './fault.ts'
import { readGpt, readMbr } from './partition-table.ts'
import type { GptHeader, Partition } from './partition-table.ts'
import type { RandomAccess } from './random-access.ts'
import { walkTree } from './tree.ts'
import { readVolumes } from './volume.ts'
import type { VolumeSet } from './volume.ts'

/**
 * Zeros that may follow the end of the last structure: isohybrid pads an image to whole cylinders,
 * of 255 heads and 63 sectors at the most.
 */
const maxPadding = 255 * 63 * 512

/** What an image is, and everything that is wrong with it. */
export type IsoReport = {
  volumeId: string
  /** Size that the volume descriptor tells, in bytes. */
  volumeSize: number
  bootEntries: BootEntry[]
  partitions: Partition[]
  /** How many files the tree has. */
  fileCount: number
  faults: IsoFault[]
}

/**
 * Checks that a file is a whole, bootable ISO 9660 image: volume descriptors, El Torito boot
 * catalogue, directory tree, partition tables, and that the file reaches as far as all of them say.
 *
 * The end of an image is the furthest of: the volume's size, each file and boot image, each
 * partition, and the backup GPT. xorriso counts appended partitions, the backup GPT and its 150
 * sectors of padding in the volume's size, other tools do not; so the end may lie behind the
 * volume, never before, and only padding zeros may follow it. A file that was cut anywhere before
 * its end is told as `truncated`.
 */
export async function checkIso(reader: RandomAccess): Promise<IsoReport> {
  const faults: IsoFault[] = []
  /** Runs a part of the check; the IsoError it throws becomes a fault. */
  const collect = async <T>(part: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await part()
    } catch (error) {
      if (!(error instanceof IsoError)) throw error
      faults.push({ code: error.code, message: error.message })
      return undefined
    }
  }

  const volumes = await collect(() => readVolumes(reader))
  if (volumes === undefined) {
    return { volumeId: '', volumeSize: 0, bootEntries: [], partitions: [], fileCount: 0, faults }
  }
  const ends: End[] = [{ what: 'the volume', end: volumes.primary.size }]
  const bootEntries = (await collect(() => readBootEntries(reader, volumes))) ?? []
  ends.push(...bootEntries.map((entry) => ({ what: 'a boot image', end: entry.offset + entry.loadLength })))

  const partitions = await readPartitions(reader, collect, ends)
  const fileCount = (await collect(() => walkFiles(reader, volumes, ends))) ?? 0

  const fault = await checkSize(reader, ends)
  if (fault !== undefined) faults.push(fault)
  const { volumeId, size: volumeSize } = volumes.primary
  return { volumeId, volumeSize, bootEntries, partitions, fileCount, faults }
}

type End = { what: string; end: number }

type Collect = <T>(part: () => Promise<T>) => Promise<T | undefined>

async function readBootEntries(reader: RandomAccess, volumes: VolumeSet): Promise<BootEntry[]> {
  if (volumes.bootCatalogOffset === undefined) {
    throw new IsoError(
      'no-boot-catalog',
      'The image has no El Torito boot catalogue: no machine boots it from CD.',
    )
  }
  const entries = await readBootCatalog(reader, volumes.bootCatalogOffset)
  if (!entries.some((entry) => entry.bootable)) {
    throw new IsoError('invalid-boot-catalog', 'The boot catalogue has no bootable entry.')
  }
  return entries
}

async function readPartitions(reader: RandomAccess, collect: Collect, ends: End[]): Promise<Partition[]> {
  const mbr = (await collect(() => readMbr(reader))) ?? []
  const gpt = await collect(() => readGptOf(reader, mbr))
  if (gpt !== undefined) {
    ends.push({ what: 'the backup GPT', end: gpt.alternateOffset + 512 })
    await collect(() => checkBackup(reader, gpt))
  }
  const partitions = [...mbr, ...(gpt?.partitions ?? [])]
  for (const { table, number, offset, length } of partitions) {
    ends.push({ what: `${table.toUpperCase()} partition ${number}`, end: offset + length })
  }
  return partitions
}

/** A protective MBR (UEFI, 5.2.3: type 0xEE) promises a GPT. */
async function readGptOf(reader: RandomAccess, mbr: readonly Partition[]): Promise<GptHeader | undefined> {
  const gpt = await readGpt(reader)
  if (gpt === undefined && mbr.some(({ type }) => type === 'ee')) {
    throw new IsoError('invalid-partition-table', 'The MBR is a protective one, but there is no GPT header.')
  }
  return gpt
}

/** The backup GPT has to tell the same partitions; one beyond the end of the file is a matter of size. */
async function checkBackup(reader: RandomAccess, primary: GptHeader): Promise<void> {
  if (primary.alternateOffset + 512 > reader.size) return
  const backup = await readGpt(reader, primary.alternateOffset)
  if (backup === undefined) {
    throw new IsoError('invalid-partition-table', 'There is no backup GPT where the GPT header says.')
  }
  if (
    backup.diskGuid !== primary.diskGuid ||
    JSON.stringify(backup.partitions) !== JSON.stringify(primary.partitions)
  ) {
    throw new IsoError('invalid-partition-table', 'The backup GPT tells other partitions than the GPT.')
  }
}

async function walkFiles(reader: RandomAccess, volumes: VolumeSet, ends: End[]): Promise<number> {
  let fileCount = 0
  let furthest: End = { what: 'the directory tree', end: 0 }
  for await (const entry of walkTree(reader, volumes.primary)) {
    if (entry.type === 'file') fileCount++
    for (const { offset, length } of entry.extents) {
      if (length > 0 && offset + length > furthest.end) {
        furthest = { what: `the file ${entry.path}`, end: offset + length }
      }
    }
  }
  ends.push(furthest)
  return fileCount
}

async function checkSize(reader: RandomAccess, ends: readonly End[]): Promise<IsoFault | undefined> {
  const last = ends.reduce((furthest, end) => (end.end > furthest.end ? end : furthest))
  if (reader.size < last.end) {
    return {
      code: 'truncated',
      message: `The file has ${reader.size} bytes, but ${last.what} ends at byte ${last.end}.`,
    }
  }
  const excess = reader.size - last.end
  const padding = excess > maxPadding ? undefined : await reader.read(last.end, excess)
  if (padding?.every((byte) => byte === 0)) return undefined
  return {
    code: 'trailing-data',
    message: `${excess} bytes follow the end of the image (${last.what}, byte ${last.end}) that are not padding.`,
  }
}
