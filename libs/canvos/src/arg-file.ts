import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { ProblemError } from '@edgesmith/contract/problem'
import { readValue } from './arg-value.ts'

/** One `KEY=VALUE` line of a `.arg` file. Line and columns count from 1, columns in characters. */
export type ArgEntry = { key: string; value: string; line: number; column: number; valueColumn: number }

export type ParsedArgFile = {
  entries: ArgEntry[]
  /** Keys whose values could not be read; each has its diagnostic. */
  unreadable: string[]
  diagnostics: Diagnostic[]
}

/** Where CanvOS and Earthly look for the arguments of a build, in the CanvOS tree. */
export const argFilePath = '.arg'

const documentation = 'docs/arguments.md#arg-file'
const maxDiagnostics = 100

/** Variables that bash sets or obeys itself: it would not keep the value, or not work as before. */
const reservedNames =
  /^(BASH.*|LD_.*|_|COMP_WORDBREAKS|DIRSTACK|ENV|EPOCHREALTIME|EPOCHSECONDS|EUID|FUNCNAME|GROUPS|HISTCMD|IFS|LINENO|OPTIND|PATH|PIPESTATUS|POSIXLY_CORRECT|PPID|PS4|RANDOM|SECONDS|SHELLOPTS|SRANDOM|UID)$/

/**
 * Reads a `.arg` file: the part of its language that Earthly's parser and bash's `source` read alike.
 * Everything else is an error with line, column and what to write instead. Nothing is ever run.
 */
export function parseArgFile(text: string): ParsedArgFile {
  const diagnostics: Diagnostic[] = []
  const entries: ArgEntry[] = []
  const variables = new Map<string, string | undefined>()
  const lastLine = new Map<string, number>()

  const report = (
    severity: Diagnostic['severity'],
    code: string,
    line: number,
    column: number,
    message: string,
    key?: string,
  ) => {
    const pointer = key === undefined ? {} : { pointer: `/${key}` }
    diagnostics.push({ severity, code, message, source: 'argFile', ...pointer, line, column, documentation })
  }

  let body = text
  if (text.startsWith('\uFEFF')) {
    report(
      'error',
      'arg-file.byte-order-mark',
      1,
      1,
      'The file begins with a byte order mark, which bash takes as part of the first word. Save it as UTF-8 without one.',
    )
    body = text.slice(1)
  }
  for (const [character, code, message] of [
    [
      '\r',
      'arg-file.carriage-return',
      'The file has Windows line endings (CRLF): bash would make the carriage return a part of each value. Save it with LF line endings.',
    ],
    ['\0', 'arg-file.null-character', 'The file holds a NUL character. Save it as plain UTF-8 text.'],
  ] as const) {
    const { line, column } = position(body, body.indexOf(character))
    if (line > 0) report('error', code, line, column, message)
  }

  for (const [index, lineText] of body
    .replaceAll(/\r(?=\n|$)|\0/g, '')
    .split('\n')
    .entries()) {
    if (diagnostics.length >= maxDiagnostics) {
      report(
        'error',
        'arg-file.too-many-faults',
        index + 1,
        1,
        'There are more faults below; they are told once these are mended.',
      )
      break
    }
    if (/^[ \t]*(#|$)/.test(lineText)) continue
    const line = index + 1
    const head = /^[ \t]*(export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=/.exec(lineText)
    const key = head?.[2]
    if (head === null || key === undefined) {
      const found = headFault(lineText)
      if (found.key !== undefined) variables.set(found.key, undefined)
      report('error', found.code, line, columnOf(lineText, found.at), found.message)
      continue
    }
    const column = columnOf(lineText, head[0].length - key.length - 1)
    const earlier = lastLine.get(key)
    if (earlier !== undefined) {
      report(
        'warning',
        'arg-file.duplicate',
        line,
        column,
        `${key} is set on line ${earlier} already; this one counts. Remove one of them.`,
        key,
      )
    }
    lastLine.set(key, line)
    if (reservedNames.test(key)) {
      report(
        'error',
        'arg-file.reserved-name',
        line,
        column,
        `${key} is a variable of the shell itself. Remove it.`,
        key,
      )
      continue
    }
    const reading = readValue(lineText, head[0].length, variables, head[1] !== undefined)
    variables.set(key, 'value' in reading ? reading.value : undefined)
    if ('fault' in reading) {
      report(
        'error',
        reading.fault.code,
        line,
        columnOf(lineText, reading.fault.at),
        reading.fault.message,
        key,
      )
    } else if ('value' in reading) {
      entries.push({
        key,
        value: reading.value,
        line,
        column,
        valueColumn: columnOf(lineText, head[0].length),
      })
    }
  }
  const unreadable = [...variables].filter(([, value]) => value === undefined).map(([key]) => key)
  return { entries: entries.filter(({ key }) => !unreadable.includes(key)), unreadable, diagnostics }
}

/** What is wrong with a line that does not begin with `KEY=`. */
function headFault(line: string): { code: string; message: string; at: number; key?: string } {
  const start = /^[ \t]*/.exec(line)?.[0].length ?? 0
  const equals = line.indexOf('=')
  if (equals === -1) {
    return {
      code: 'arg-file.missing-equals',
      at: start,
      message:
        'The line is not KEY=VALUE: bash would run it as a command. Add the “=”, or begin the line with “#”.',
    }
  }
  if (/^[ \t]*ARG[ \t]/.test(line)) {
    const message = '“ARG” is for Earthfiles: bash would run it as a command. Leave the word out.'
    return { code: 'arg-file.invalid-name', at: start, message }
  }
  const key = line.slice(start, equals).replace(/^export[ \t]+/, '')
  const keyStart = equals - key.length
  if (/^[A-Za-z_][A-Za-z0-9_]*[ \t]+$/.test(key)) {
    const at = keyStart + key.trimEnd().length
    return {
      code: 'arg-file.space-around-equals',
      at,
      key: key.trimEnd(),
      message: 'There is white space before the “=”: bash would run the name as a command. Remove it.',
    }
  }
  return {
    code: 'arg-file.invalid-name',
    at: keyStart,
    message: 'A name is letters, digits and “_”, and does not begin with a digit. Correct it.',
  }
}

/** The column of an index in a line: characters (code points), from 1. */
function columnOf(line: string, index: number): number {
  return Array.from(line.slice(0, index)).length + 1
}

/** Line and column of an index in a text; line 0 when the index is -1. */
function position(text: string, index: number): { line: number; column: number } {
  if (index === -1) return { line: 0, column: 0 }
  const before = text.slice(0, index).split('\n')
  return { line: before.length, column: columnOf(before.at(-1) ?? '', Infinity) }
}

/** Why a pair cannot be written so that Earthly and bash both read it back; undefined when it can. */
export function unwritable(key: string, value: string): { code: string; message: string } | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) {
    return {
      code: 'arguments.invalid-name',
      message: 'A name is letters, digits and “_”, and does not begin with a digit.',
    }
  }
  if (reservedNames.test(key)) {
    return {
      code: 'arguments.reserved-name',
      message: `${key} is a variable of the shell itself. Remove it.`,
    }
  }
  if (/[^\P{Cc}\t\u0080-\u009f]/u.test(value) || !value.isWellFormed()) {
    return {
      code: 'arguments.control-character',
      message: `The value of ${key} holds a line break or another control character. Remove it.`,
    }
  }
  if (written(value) === undefined) {
    return {
      code: 'arguments.not-expressible',
      message: `The value of ${key} mixes quotes and backslashes in a way that Earthly and bash never read alike. Leave out the single quote, or the backslash or double quote.`,
    }
  }
  return undefined
}

/** A value as both programs read it back, or undefined when there is no such form. */
function written(value: string): string | undefined {
  const bare = /^[A-Za-z0-9_./:@%+,=^-]*$/.test(value) ? [value] : []
  const candidates = [...bare, `'${value}'`, `"${value.replaceAll(/["\\$`]/g, '\\$&')}"`]
  return candidates.find((candidate) => {
    const reading = readValue(candidate, 0, new Map(), false)
    return 'value' in reading && reading.value === value
  })
}

/**
 * Writes the `.arg` file of a build: Earthly's parser and bash's `source` both read exactly these pairs
 * back from it, and nothing in it runs.
 *
 * @throws {ProblemError} of code `invalid-input` that names every pair that cannot be written.
 */
export function writeArgFile(pairs: Readonly<Record<string, string>>): string {
  const errors: Diagnostic[] = []
  const lines: string[] = []
  for (const [key, value] of Object.entries(pairs)) {
    const reason = unwritable(key, value)
    if (reason === undefined) lines.push(`${key}=${written(value) ?? ''}\n`)
    else
      errors.push({
        severity: 'error',
        ...reason,
        source: 'arguments',
        pointer: argumentPointer(key),
        documentation,
      })
  }
  if (errors.length > 0)
    throw new ProblemError('invalid-input', 'Some arguments cannot be written to a .arg file', { errors })
  return lines.join('')
}

/** The JSON Pointer of an argument in a build spec. */
export function argumentPointer(name: string): string {
  return `/arguments/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}
