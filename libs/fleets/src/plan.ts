import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { isAlias, isScalar, Lexer, LineCounter, Scalar, visit, type Document } from 'yaml'
import { readYaml } from '@edgesmith/yaml/read-yaml'
import { templateFault } from './finding.ts'
import { markerLength, splitAtMarkers, type MarkedText, type Part, type Template } from './template.ts'

/** A piece of the user-data to be. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  /** A plain or quoted scalar, by the value it has. */
  | { readonly kind: 'scalar'; readonly isPlain: boolean; readonly value: readonly Part[] }
  /** A block scalar: by its source, and by the value it has. */
  | { readonly kind: 'block'; readonly source: readonly Part[]; readonly value: readonly Part[] }
  | { readonly kind: 'comment'; readonly marker: number }

/** How the values of a site are put into a marked text. */
export type Plan = {
  readonly names: readonly string[]
  readonly pieces: readonly Piece[]
  /** The marked text as YAML: the structure that every site has. */
  readonly document: Document
}

/** Tokens of the lexer that stand for no text: begin of a document, of a scalar, end of a flow collection. */
const controls = ['\u0002', '\u001f', '\u0018']

type Place = { readonly start: number; readonly end: number; readonly piece: Piece }

/**
 * Works out where in the YAML each value stands. A plain or quoted scalar with a value in it is written
 * anew in double quotes, so that the value can be any text.
 */
export function makePlan(
  template: Template,
  { text, names }: MarkedText,
): { plan: Plan; diagnostics: [] } | { plan?: never; diagnostics: Diagnostic[] } {
  const lines = new LineCounter()
  const { document, faults } = readYaml(text, lines)
  const unmarked = (message: string) =>
    splitAtMarkers(template, message)
      .map((part) => (typeof part === 'string' ? part : `{{${names[part] ?? ''}}}`))
      .join('')
  const diagnostics = faults.map(({ message, offset }) => {
    const { line, col } = lines.linePos(offset)
    return templateFault('yaml', `The template is not YAML: ${unmarked(message)}`, { line, column: col })
  })
  if (diagnostics.length > 0) return { diagnostics }

  const places = [...scalarPlaces(template, text, document), ...commentPlaces(template, text)]
  const placed = new Set(places.flatMap(({ piece }) => markersOf(piece)))
  const lost = names.flatMap((name, marker) => (placed.has(marker) ? [] : [name]))
  if (lost.length > 0) {
    return {
      diagnostics: [...new Set(lost)].map((name) =>
        templateFault(
          'misplaced',
          `{{${name}}} stands where YAML has no text. Use it in a value, in a key or in a comment.`,
          { line: template.names.get(name) ?? 1 },
        ),
      ),
    }
  }
  return { plan: { names, pieces: cut(text, places), document }, diagnostics: [] }
}

function markersOf(piece: Piece): number[] {
  if (piece.kind === 'text') return []
  if (piece.kind === 'comment') return [piece.marker]
  return piece.value.filter((part) => typeof part === 'number')
}

function scalarPlaces(template: Template, text: string, document: Document): Place[] {
  const places: Place[] = []
  visit(document, (_key, node) => {
    if (
      !isScalar(node) ||
      isAlias(node) ||
      node.range === undefined ||
      node.range === null ||
      typeof node.value !== 'string'
    )
      return
    const value = splitAtMarkers(template, node.value)
    if (!value.some((part) => typeof part === 'number')) return
    const [start, end] = node.range
    const source = splitAtMarkers(template, text.slice(start, end))
    // An escape in the source can swallow a part of a marker.
    if (count(source) !== count(value)) return
    const isBlock = node.type === Scalar.BLOCK_LITERAL || node.type === Scalar.BLOCK_FOLDED
    const piece: Piece = isBlock
      ? { kind: 'block', source, value }
      : { kind: 'scalar', isPlain: isPlain(node), value }
    places.push({ start, end, piece })
  })
  return places
}

/** Whether YAML decides by the text of a scalar whether it is a string. */
export function isPlain({ type, tag }: Scalar): boolean {
  return type === Scalar.PLAIN && tag === undefined
}

function count(parts: readonly Part[]): number {
  return parts.filter((part) => typeof part === 'number').length
}

/** The tokens of the YAML lexer are the text, cut to pieces. */
function commentPlaces(template: Template, text: string): Place[] {
  const places: Place[] = []
  let offset = 0
  let isScalarNext = false
  for (const token of new Lexer().lex(text)) {
    if (controls.includes(token)) {
      isScalarNext = token === '\u001f'
      continue
    }
    if (token.startsWith('#') && !isScalarNext) {
      let start = offset
      for (const part of splitAtMarkers(template, token)) {
        const length = typeof part === 'string' ? part.length : markerLength(template)
        if (typeof part === 'number') {
          places.push({ start, end: start + length, piece: { kind: 'comment', marker: part } })
        }
        start += length
      }
    }
    isScalarNext = false
    offset += token.length
  }
  return places
}

function cut(text: string, places: readonly Place[]): Piece[] {
  const pieces: Piece[] = []
  let position = 0
  for (const { start, end, piece } of [...places].sort((a, b) => a.start - b.start)) {
    pieces.push({ kind: 'text', text: text.slice(position, start) }, piece)
    position = end
  }
  pieces.push({ kind: 'text', text: text.slice(position) })
  return pieces
}
