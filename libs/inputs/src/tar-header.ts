/** The fields of a tar header that matter here. */
export type TarHeader = {
  /** Of the entry, as it is written there; undefined when the bytes are not UTF-8. */
  name: string | undefined
  /** One character, POSIX `typeflag`. */
  type: string
  /** Of the body, in bytes. */
  size: number
  mode: number
}

export const blockSize = 512

/**
 * Decodes a header block; undefined when it is none: its checksum is wrong or a number cannot be read.
 *
 * Sources: POSIX.1-2017 `pax` (ustar interchange format); GNU tar manual, "Basic Tar Format" (base-256
 * numbers, and no prefix in its own format).
 */
export function decodeTarHeader(block: Buffer): TarHeader | undefined {
  if (block.length !== blockSize) return undefined
  if (!checksums(block).includes(octal(block, 148, 8) ?? -1)) return undefined
  const size = number(block, 124, 12)
  const mode = number(block, 100, 8)
  if (size === undefined || mode === undefined) return undefined
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isPosix ? text(block, 345, 155) : ''
  const own = text(block, 0, 100)
  const name = prefix === undefined || own === undefined || prefix === '' ? own : `${prefix}/${own}`
  return {
    name: prefix === undefined ? undefined : name,
    type: block.toString('latin1', 156, 157),
    size,
    mode,
  }
}

/** The sum of the bytes, the checksum itself taken as spaces; some writers took them as signed. */
function checksums(block: Buffer): number[] {
  let unsigned = 0
  let signed = 0
  for (const [index, byte] of block.entries()) {
    const counted = index >= 148 && index < 156 ? 0x20 : byte
    unsigned += counted
    signed += counted > 127 ? counted - 256 : counted
  }
  return [unsigned, signed]
}

function number(block: Buffer, offset: number, length: number): number | undefined {
  const first = block[offset] ?? 0
  if (first < 0x80) return octal(block, offset, length)
  if (first !== 0x80) return undefined
  let value = 0
  for (const byte of block.subarray(offset + 1, offset + length)) value = value * 256 + byte
  return Number.isSafeInteger(value) ? value : undefined
}

function octal(block: Buffer, offset: number, length: number): number | undefined {
  const digits = /^(?:([0-7]+)[ \0]*)?$/.exec(
    block.toString('latin1', offset, offset + length).replace(/^[ \0]+/, ''),
  )
  if (digits === null) return undefined
  return digits[1] === undefined ? 0 : Number.parseInt(digits[1], 8)
}

function text(block: Buffer, offset: number, length: number): string | undefined {
  const field = block.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return decodeUtf8(end < 0 ? field : field.subarray(0, end))
}

/** The bytes as UTF-8; undefined when they are not. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  const decoded = bytes.toString('utf8')
  return Buffer.from(decoded).equals(bytes) ? decoded : undefined
}

/**
 * The records of a pax header, `"<length> <key>=<value>\n"` each; undefined when they cannot be read.
 * A value is undefined when its bytes are not UTF-8.
 */
export function decodePaxRecords(body: Buffer): Map<string, string | undefined> | undefined {
  const records = new Map<string, string | undefined>()
  for (let offset = 0; offset < body.length;) {
    const space = body.indexOf(0x20, offset)
    const length = space < 0 ? '' : body.toString('latin1', offset, space)
    const end = offset + Number(length)
    if (!/^[1-9]\d{0,9}$/.test(length) || end > body.length || body[end - 1] !== 0x0a) return undefined
    const equals = body.indexOf(0x3d, space)
    if (equals < 0 || equals >= end) return undefined
    records.set(body.toString('latin1', space + 1, equals), decodeUtf8(body.subarray(equals + 1, end - 1)))
    offset = end
  }
  return records
}
