import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { headSize, sniffContentKind } from '../src/content-kind.ts'

describe('sniffContentKind', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
  const cases: [string, string, Uint8Array | string][] = [
    ['zstd', 'a Zstandard frame', zstdCompressSync('content')],
    ['zstd', 'a Zstandard skippable frame', Buffer.from('5a2a4d1804000000', 'hex')],
    ['zstd', 'the last skippable frame magic', Buffer.from('5f2a4d1800000000', 'hex')],
    ['gzip', 'gzip', gzipSync('content')],
    ['tar', 'a POSIX tar', block(512, 257, 'ustar\x0000')],
    ['tar', 'a GNU tar', block(512, 257, 'ustar  \0')],
    ['iso9660', 'an ISO image', block(headSize, 0x8001, 'CD001')],
    ['iso9660', 'a hybrid ISO image that begins like a tar', tarLikeIso()],
    ['pem', 'a certificate', pem],
    ['pem', 'a certificate with text before it', `Bag Attributes\n    friendlyName: ca\r\n${pem}`],
    ['cloud-config', 'user-data', '#cloud-config\nstylus:\n  site: {}\n'],
    ['cloud-config', 'user-data with a byte order mark and CRLF', '\ufeff#cloud-config\r\nstylus: {}\r\n'],
    ['cloud-config', 'user-data after white space', '\n  #Cloud-Config\nstylus: {}\n'],
    ['cloud-config', 'only the header', '#cloud-config'],
    ['cloud-config', 'user-data with a certificate in it', `#cloud-config\n${pem}`],
    ['text', 'another header', '#cloud-config-archive\n- x\n'],
    ['text', 'a comment', '# cloud-config\n'],
    ['text', 'an .arg file', 'ARCH=amd64\nISO_NAME=installer\n'],
    ['text', 'text in another script', 'naïve – 試験\n'],
    ['text', 'an indented certificate', `ca: |\n  ${pem.replaceAll('\n', '\n  ')}`],
    ['binary', 'an ELF file', Buffer.from('7f454c4602010100', 'hex')],
    ['binary', 'Latin-1 text', Buffer.from('na\u00efve', 'latin1')],
    ['binary', 'text with NUL', 'a\0b'],
    ['binary', 'UTF-16 text', Buffer.from('\ufefftext', 'utf16le')],
    ['binary', 'a Zstandard magic cut short', Buffer.from('28b52f', 'hex')],
    ['binary', 'a character cut short at the end', Buffer.from('e8a9', 'hex')],
  ]
  for (const [kind, name, content] of cases) {
    it(`takes ${name} for ${kind}`, () => {
      assert.equal(sniffContentKind(Buffer.from(content), { isWhole: true }), kind)
    })
  }

  it('allows a head that ends within a character', () => {
    const text = Buffer.from('試'.repeat(headSize))
    for (const length of [headSize - 2, headSize - 1, headSize]) {
      assert.equal(sniffContentKind(text.subarray(0, length), { isWhole: false }), 'text')
    }
  })
})

function block(size: number, offset: number, magic: string): Buffer {
  const bytes = Buffer.alloc(size)
  bytes.write(magic, offset, 'latin1')
  return bytes
}

function tarLikeIso(): Buffer {
  const bytes = block(headSize, 0x8001, 'CD001')
  bytes.write('ustar', 257, 'latin1')
  return bytes
}
