import type { UploadKind } from '@edgesmith/contract/upload'

/** How many of the first bytes tell the kind: the ISO 9660 identifier is the last thing looked at. */
export const headSize = 0x8001 + 5

/**
 * Tells what a file is by its own bytes. `head` is the first `headSize` bytes, or the whole file
 * where it is shorter, which `isWhole` says.
 *
 * Sources: RFC 8878 (Zstandard frames and skippable frames), RFC 1952 (gzip), POSIX ustar, ECMA-119
 * (identifier of the first volume descriptor, in sector 16), RFC 7468 (PEM), and cloud-init, which
 * takes the header in any case and after white space.
 */
export function sniffContentKind(head: Uint8Array, { isWhole }: { isWhole: boolean }): UploadKind {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
  if (holds(bytes, 0x8001, 'CD001')) return 'iso9660'
  if (isZstandard(bytes)) return 'zstd'
  if (holds(bytes, 0, '\x1f\x8b')) return 'gzip'
  if (holds(bytes, 257, 'ustar')) return 'tar'
  const text = decodeText(bytes, isWhole)
  if (text === undefined) return 'binary'
  if (/^\s*#cloud-config(?:\s|$)/i.test(text)) return 'cloud-config'
  if (/^-----BEGIN [A-Z0-9 ]+-----\s*$/m.test(text)) return 'pem'
  return 'text'
}

function holds(bytes: Buffer, offset: number, expected: string): boolean {
  return bytes.toString('latin1', offset, offset + expected.length) === expected
}

function isZstandard(bytes: Buffer): boolean {
  if (bytes.length < 4) return false
  const magic = bytes.readUInt32LE(0)
  return magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50
}

// The controls that text files hold: tab, line feed, vertical tab, form feed, carriage return, escape.
const otherControls = /[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]/

/** The bytes as UTF-8 text; undefined when they are not. A head may end within a character. */
function decodeText(bytes: Buffer, isWhole: boolean): string | undefined {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: !isWhole })
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
  return otherControls.test(text) ? undefined : text
}
