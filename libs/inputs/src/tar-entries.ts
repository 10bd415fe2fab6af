import { ArchiveFault } from './archive-fault.ts'
import type { ByteReader } from './byte-reader.ts'
import { blockSize, decodePaxRecords, decodeTarHeader, decodeUtf8 } from './tar-header.ts'

export type TarEntryType = 'file' | 'directory' | 'link' | 'device' | 'sparse' | 'other'

/** One entry of a tar as it is written there: nothing about it has been judged. */
export type TarEntry = {
  /** Undefined when it is not UTF-8. */
  name: string | undefined
  type: TarEntryType
  /** Size of the body in bytes. */
  size: number
  /** First byte of the body. */
  offset: number
  mode: number
}

/** Most entries of a tar that are looked at. */
export const maximumEntries = 10_000

/** Most bytes of an extended header (a long name, pax records). */
const maximumExtensionSize = 256 * 1024

const types: Record<string, TarEntryType> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'link',
  '3': 'device',
  '4': 'device',
  '6': 'device',
  '5': 'directory',
  S: 'sparse',
}

type Extension = { name?: string | undefined; hasName?: true; size?: number; isSparse?: true }

/**
 * Walks the headers of a tar, in ustar, pax or GNU form, and skips the bodies. One walker reads stored and
 * unpacked archives, so that both are judged alike, and no header makes it hold more than 256 KiB.
 * @throws ArchiveFault `archive.damaged`, `archive.truncated`, `archive.too-many-entries`
 */
export async function* readTarEntries(reader: ByteReader): AsyncGenerator<TarEntry> {
  let extension: Extension = {}
  let count = 0
  for (let offset = 0; ;) {
    const block = await reader.read(offset, blockSize)
    if (block.length === 0 || block.every((byte) => byte === 0)) {
      if (Object.keys(extension).length > 0) throw damaged(offset)
      return
    }
    const header = decodeTarHeader(block)
    if (header === undefined) throw damaged(offset)
    if (++count > maximumEntries) {
      throw new ArchiveFault(
        'archive.too-many-entries',
        `The archive has more than ${maximumEntries} entries. Send one with fewer files.`,
      )
    }
    const body = offset + blockSize
    if ('xgLK'.includes(header.type)) {
      extension = { ...extension, ...(await readExtension(reader, header, body)) }
      offset = body + padded(header.size)
      continue
    }
    const type = extension.isSparse === true ? 'sparse' : (types[header.type] ?? 'other')
    const name = extension.hasName === true ? extension.name : header.name
    const size = extension.size ?? header.size
    // Readers differ on whether the body of a directory is there to be skipped.
    if (type === 'directory' && size > 0) throw damaged(offset)
    yield {
      name,
      // Before POSIX, a directory was a file whose name ends with a slash.
      type: type === 'file' && size === 0 && name?.endsWith('/') === true ? 'directory' : type,
      size,
      offset: body,
      mode: header.mode,
    }
    extension = {}
    offset = body + padded(size)
  }
}

async function readExtension(
  reader: ByteReader,
  { type, size }: { type: string; size: number },
  offset: number,
): Promise<Extension> {
  if (size > maximumExtensionSize) {
    throw new ArchiveFault(
      'archive.damaged',
      `The archive has an extended header of ${size} bytes at byte ${offset}, more than ${maximumExtensionSize}. Pack it again.`,
    )
  }
  const body = await reader.read(offset, size)
  if (body.length < size) throw damaged(offset)
  if (type === 'K') return {}
  if (type === 'L') {
    const end = body.indexOf(0)
    return { name: decodeUtf8(end < 0 ? body : body.subarray(0, end)), hasName: true }
  }
  const records = decodePaxRecords(body)
  if (records === undefined) throw damaged(offset)
  const isSparse = [...records.keys()].some((key) => key.startsWith('GNU.sparse.'))
  const written = records.get('size')
  const longSize = Number(written)
  if (records.has('size') && !(/^\d+$/.test(written ?? '') && Number.isSafeInteger(longSize))) {
    throw damaged(offset)
  }
  const names: Extension = records.has('path') ? { name: records.get('path'), hasName: true } : {}
  const found: Extension = {
    ...names,
    ...(written === undefined ? {} : { size: longSize }),
    ...(isSparse ? { isSparse } : {}),
  }
  // A global header that renames or resizes every file: no known writer makes one.
  if (type === 'g' && Object.keys(found).length > 0) throw damaged(offset)
  return type === 'g' ? {} : found
}

function padded(size: number): number {
  return Math.ceil(size / blockSize) * blockSize
}

function damaged(offset: number): ArchiveFault {
  return new ArchiveFault(
    'archive.damaged',
    `The archive is no readable tar from byte ${offset} on. Pack it again with tar -cf and send it unchanged.`,
  )
}
