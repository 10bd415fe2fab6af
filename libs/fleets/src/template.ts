import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import Mustache from 'mustache'
import { templateFault } from './finding.ts'

/** What a tag is replaced by. */
export type Values = ReadonlyMap<string, string | number | boolean>

/** A template without faults of its own. */
export type Template = {
  readonly text: string
  readonly tokens: readonly Token[]
  /** Every name that a tag has, sections included, with the line it is first on. */
  readonly names: ReadonlyMap<string, number>
  /** What stands for a value until its place is known: no part of the text. */
  readonly markerPrefix: string
}

/** A template with the tags of one site resolved to sections taken and values that are marked. */
export type MarkedText = {
  readonly text: string
  /** The name behind each marker, in the order of the text. */
  readonly names: readonly string[]
}

/** What mustache.js parses a template into; sections carry their own tokens. */
type Token = [kind: string, value: string, start: number, end: number, inner?: Token[] | string]

const namePattern = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/

/** Digits of a marker's number. */
const markerDigits = 6

/**
 * Reads a template: Mustache (mustache(5)) of names and sections. What would insert text that is not
 * quoted (`{{{name}}}`, `{{&name}}`), a partial and other delimiters are refused.
 */
export function readTemplate(
  text: string,
): { template: Template; diagnostics: [] } | { template?: never; diagnostics: Diagnostic[] } {
  let tokens: Token[]
  try {
    tokens = Mustache.parse(text) as Token[]
  } catch (error) {
    return { diagnostics: [syntaxFault(text, (error as Error).message)] }
  }
  const names = new Map<string, number>()
  const diagnostics = tokens.flatMap((token) => check(text, token, names))
  if (diagnostics.length > 0) return { diagnostics }
  return { template: { text, tokens, names, markerPrefix: markerPrefix(text) }, diagnostics: [] }
}

/** mustache.js tells the place of a fault as `… at 17`, the offset in the text. */
function syntaxFault(text: string, reason: string): Diagnostic {
  const offset = /^(?<what>.*) at (?<offset>\d+)$/s.exec(reason)?.groups
  const what = offset?.['what'] ?? reason
  return templateFault('syntax', `The template cannot be read: ${what}.`, {
    line: lineOf(text, Number(offset?.['offset'] ?? 0)),
  })
}

function check(text: string, [kind, name, start, , inner]: Token, names: Map<string, number>): Diagnostic[] {
  const line = lineOf(text, start)
  switch (kind) {
    case 'text':
    case '!':
      return []
    case 'name':
    case '#':
    case '^': {
      if (!names.has(name)) names.set(name, line)
      const nested = Array.isArray(inner) ? inner.flatMap((token) => check(text, token, names)) : []
      if (namePattern.test(name)) return nested
      const message = `${JSON.stringify(name)} cannot be the name of a value: use letters, digits, "_" and "-".`
      return [templateFault('name', message, { line }), ...nested]
    }
    case '&': {
      const message = `{{{${name}}}} and {{&${name}}} insert text as it is, which could change the user-data's structure. Write {{${name}}}.`
      return [templateFault('unquoted', message, { line })]
    }
    case '>':
      return [templateFault('partial', `There are no partials to insert for {{>${name}}}.`, { line })]
    default:
      return [templateFault('delimiters', 'The delimiters of tags cannot be changed.', { line })]
  }
}

/** Letters and digits alone, so that a marker is plain text wherever YAML has text. */
function markerPrefix(text: string): string {
  let prefix = 'valueOfSite'
  while (text.includes(prefix)) prefix += 'x'
  return prefix
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** mustache.js with values kept back: it decides on sections and leaves a marker for each value. */
class MarkingWriter extends Mustache.Writer {
  readonly names: string[] = []
  readonly #prefix: string

  constructor(prefix: string) {
    super()
    this.#prefix = prefix
  }

  override escapedValue(token: string[]): string {
    this.names.push(token[1] ?? '')
    return `${this.#prefix}${String(this.names.length - 1).padStart(markerDigits, '0')}`
  }
}

/** Resolves the sections for a site: those of an empty text, `false` and 0 are left out. */
export function markValues(template: Template, values: Values): MarkedText {
  const writer = new MarkingWriter(template.markerPrefix)
  const context = new Mustache.Context(Object.fromEntries(values))
  const text = writer.renderTokens(
    template.tokens as unknown as string[][],
    context,
    undefined,
    template.text,
  )
  return { text, names: writer.names }
}

/** Characters of a marker. */
export function markerLength({ markerPrefix }: Pick<Template, 'markerPrefix'>): number {
  return markerPrefix.length + markerDigits
}

/** Text as it is, and the numbers of markers, in turns. */
export type Part = string | number

/** Splits text at the markers within it. */
export function splitAtMarkers(
  { markerPrefix: prefix }: Pick<Template, 'markerPrefix'>,
  text: string,
): Part[] {
  const parts: Part[] = []
  let position = 0
  for (let at = text.indexOf(prefix); at !== -1; at = text.indexOf(prefix, position)) {
    if (at > position) parts.push(text.slice(position, at))
    position = at + prefix.length + markerDigits
    parts.push(Number(text.slice(at + prefix.length, position)))
  }
  if (position < text.length) parts.push(text.slice(position))
  return parts
}
