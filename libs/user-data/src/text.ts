import type { Path } from './path.ts'
import { sources, type RuleDescription } from './rule.ts'

/** The largest user-data, in bytes. Kairos skips larger files it finds on the live medium. */
export const maxUserDataBytes = 1_048_576

/** A fault with its place in the text, in UTF-16 units, and its path where the document is known so far. */
export type TextFault = { rule: RuleDescription; offset?: number; path?: Path; message: string }

const tooLarge = {
  code: 'user-data.too-large',
  severity: 'error',
  summary: 'The file has at most 1,048,576 bytes.',
  source: sources.kairosCollector,
} as const satisfies RuleDescription

const empty = {
  code: 'user-data.empty',
  severity: 'error',
  summary: 'The file has content.',
  source: sources.prepareUserData,
} as const satisfies RuleDescription

const encoding = {
  code: 'user-data.encoding',
  severity: 'error',
  summary: 'The file is UTF-8.',
  source: sources.yaml,
} as const satisfies RuleDescription

const byteOrderMark = {
  code: 'user-data.byte-order-mark',
  severity: 'error',
  summary: 'The file begins with its header, not with a byte order mark.',
  source: sources.kairosCollector,
} as const satisfies RuleDescription

const controlCharacter = {
  code: 'user-data.control-character',
  severity: 'error',
  summary: 'The file holds no NUL and no other control character that YAML forbids.',
  source: sources.yaml,
} as const satisfies RuleDescription

const carriageReturn = {
  code: 'user-data.carriage-return',
  severity: 'warning',
  summary: 'Lines end with a line feed alone.',
  source: sources.yaml,
} as const satisfies RuleDescription

const header = {
  code: 'user-data.header',
  severity: 'error',
  summary: 'The first line is `#cloud-config` and nothing else.',
  source: sources.validateUserData,
} as const satisfies RuleDescription

/** The rules about the file as text. */
export const textRules: readonly RuleDescription[] = [
  tooLarge,
  empty,
  encoding,
  byteOrderMark,
  controlCharacter,
  carriageReturn,
  header,
]

/** Reads the bytes as text. The text is undefined where it makes no sense to read on. */
export function readText(input: Uint8Array | string): { text: string | undefined; faults: TextFault[] } {
  const size = typeof input === 'string' ? Buffer.byteLength(input) : input.byteLength
  if (size > maxUserDataBytes) {
    const message = `The file has ${size} bytes; Kairos does not read user-data beyond ${maxUserDataBytes}. Move large files into a content bundle or the overlay.`
    return { text: undefined, faults: [{ rule: tooLarge, message }] }
  }
  const decoded = typeof input === 'string' ? input : decode(input)
  if (decoded === undefined) {
    const message = 'The file is not UTF-8 text. Save it as UTF-8 without a byte order mark.'
    return { text: undefined, faults: [{ rule: encoding, message }] }
  }
  const faults: TextFault[] = []
  const text = decoded.startsWith('\uFEFF') ? decoded.slice(1) : decoded
  if (text !== decoded) {
    const message =
      'The file begins with a byte order mark, so its header is not recognised. Save it as UTF-8 without one.'
    faults.push({ rule: byteOrderMark, offset: 0, message })
  }
  if (text.trim() === '') {
    faults.push({
      rule: empty,
      message: 'The file is empty. Write `#cloud-config` and the settings, or leave the input out.',
    })
    return { text: undefined, faults }
  }
  faults.push(...headerFaults(text), ...characterFaults(text))
  return { text, faults }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

function headerFaults(text: string): TextFault[] {
  const lines = text.split('\n', 10)
  if (lines[0]?.trimEnd() === '#cloud-config') return []
  const near = lines.findIndex((line) => /^\s*#+\s*cloud[-_ ]?config\s*$/i.test(line))
  const found = lines[near]
  const offset = lines.slice(0, Math.max(near, 0)).reduce((sum, line) => sum + line.length + 1, 0)
  const hint =
    found === undefined
      ? 'Put it above everything else.'
      : near === 0
        ? `It reads \`${found.trim()}\`.`
        : `It is on line ${near + 1}; move it to the top.`
  return [{ rule: header, offset, message: `The first line must be exactly \`#cloud-config\`. ${hint}` }]
}

/** All that is not `c-printable` in YAML 1.2, and carriage returns that end no line. */
const forbidden = new RegExp('[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f\\ufffe\\uffff]|\\r(?!\\n)')

function characterFaults(text: string): TextFault[] {
  const faults: TextFault[] = []
  const offset = text.search(forbidden)
  if (offset !== -1) {
    const code = text.charCodeAt(offset).toString(16).toUpperCase().padStart(4, '0')
    const name = code === '0000' ? 'NUL (U+0000)' : `U+${code}`
    const message = `The file holds the control character ${name}. Remove it, or write it as an escape in double quotes.`
    faults.push({ rule: controlCharacter, offset, message })
  }
  const ending = text.indexOf('\r\n')
  if (ending !== -1) {
    const message = 'Lines end with CR LF. Save the file with LF line endings, as Linux tools expect them.'
    faults.push({ rule: carriageReturn, offset: ending, message })
  }
  return faults
}
