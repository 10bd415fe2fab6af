import type { Case } from './case.ts'

const plain = 'install:\n  poweroff: true\nstylus:\n  managementMode: local\n'

function bytes(...parts: (string | number[])[]): Uint8Array {
  return Buffer.concat(parts.map((part) => Buffer.from(part as string)))
}

/** Faults of the file as text. */
export const textCases: readonly Case[] = [
  { name: 'a minimal file', text: `#cloud-config\n${plain}`, expected: [] },
  { name: 'the same as bytes', text: bytes(`#cloud-config\n${plain}`), expected: [] },
  { name: 'white space behind the header', text: `#cloud-config  \n${plain}`, expected: [] },
  { name: 'no header', text: plain, expected: [['error', 'header', 1]] },
  { name: 'a header with a space', text: `# cloud-config\n${plain}`, expected: [['error', 'header', 1]] },
  { name: 'a header in the wrong case', text: `#Cloud-Config\n${plain}`, expected: [['error', 'header', 1]] },
  {
    name: 'a header on the second line',
    text: `# site 42\n#cloud-config\n${plain}`,
    expected: [['error', 'header', 2]],
  },
  {
    name: 'a header below an empty line',
    text: `\n#cloud-config\n${plain}`,
    expected: [['error', 'header', 2]],
  },
  {
    name: 'text behind the header',
    text: `#cloud-config site\n${plain}`,
    expected: [['error', 'header', 1]],
  },
  { name: 'an empty file', text: '', expected: [['error', 'empty']] },
  { name: 'white space alone', text: ' \n\n', expected: [['error', 'empty']] },
  {
    name: 'the header alone',
    text: '#cloud-config\n',
    expected: [['error', 'type', 1, '']],
  },
  {
    name: 'a byte order mark',
    text: bytes([0xef, 0xbb, 0xbf], `#cloud-config\n${plain}`),
    expected: [['error', 'byte-order-mark', 1]],
  },
  {
    name: 'UTF-16',
    text: bytes([0xff, 0xfe], [...Buffer.from('#cloud-config\n', 'utf16le')]),
    expected: [['error', 'encoding']],
  },
  { name: 'Latin-1', text: bytes('#cloud-config\n# caf', [0xe9], '\n'), expected: [['error', 'encoding']] },
  {
    name: 'NUL',
    text: `#cloud-config\n${plain}  path: "/a\u0000b"\n`,
    expected: [['error', 'control-character', 6]],
  },
  {
    name: 'an escape character',
    text: `#cloud-config\n${plain}  path: "/a\u001b[0m"\n`,
    expected: [['error', 'control-character', 6]],
  },
  {
    name: 'CR LF line endings',
    text: `#cloud-config\n${plain}`.replaceAll('\n', '\r\n'),
    expected: [['warning', 'carriage-return', 1]],
  },
  {
    name: 'CR line endings',
    text: '#cloud-config\r\ninstall:\r  poweroff: true\n',
    expected: [
      ['warning', 'carriage-return', 1],
      ['error', 'control-character', 2],
      ['error', 'syntax', 2],
    ],
  },
  {
    name: 'a file beyond the limit',
    text: `#cloud-config\n${plain}# ${'x'.repeat(1_048_576)}\n`,
    expected: [['error', 'too-large']],
  },
  {
    name: 'a hundred megabytes',
    text: Buffer.alloc(104_857_600, 'a: b\n'),
    expected: [['error', 'too-large']],
  },
  {
    name: 'characters beyond the basic plane',
    text: `#cloud-config\n${plain}  site:\n    tags: { '😀': "😀", city: "Zürich" }\n`,
    expected: [],
  },
]
