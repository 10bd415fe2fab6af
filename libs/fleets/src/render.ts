import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { isAlias, isCollection, isMap, isNode, isPair, isScalar, type Scalar } from 'yaml'
import { readYaml } from '@edgesmith/yaml/read-yaml'
import { isPlain, makePlan, type Piece, type Plan } from './plan.ts'
import {
  markValues,
  readTemplate,
  splitAtMarkers,
  type Part,
  type Template,
  type Values,
} from './template.ts'
import { doubleQuoted, isTame } from './yaml-quote.ts'

/** Why a site's user-data cannot be rendered. */
export type RenderFault =
  /** Seen with the sections that this site takes, and the same for every site that takes them. */
  | { readonly kind: 'template'; readonly diagnostic: Diagnostic }
  | { readonly kind: 'missing-value'; readonly name: string; readonly line: number }
  /** A value that cannot be where it is to be put; the name is left out when no single one is at fault. */
  | { readonly kind: 'value'; readonly name?: string; readonly message: string }

export type Rendered =
  | { readonly text: string; readonly faults?: never }
  | { readonly text?: never; readonly faults: readonly RenderFault[] }

/** Plans that are kept: one for each set of sections taken. */
const maxPlans = 64

/** Not to be put into a comment: it would end it, or is not printable. */
const unprintable = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/

/**
 * Renders user-data from a template. Each value is, in the YAML that comes out, exactly the text that was
 * given, whatever its characters: the structure is the template's, and that is verified for each site.
 */
export class Renderer {
  readonly #template: Template
  readonly #plans = new Map<string, Plan>()

  private constructor(template: Template) {
    this.#template = template
  }

  /** A renderer of a template, or all that is wrong with the template. */
  static of(
    text: string,
  ): { renderer: Renderer; diagnostics: [] } | { renderer?: never; diagnostics: Diagnostic[] } {
    const { template, diagnostics } = readTemplate(text)
    if (template === undefined) return { diagnostics }
    return { renderer: new Renderer(template), diagnostics: [] }
  }

  /** Renders the user-data of a site. A name that the template has and the site has not is a fault. */
  render(values: Values): Rendered {
    const missing = [...this.#template.names].filter(([name]) => !values.has(name))
    if (missing.length > 0) {
      return { faults: missing.map(([name, line]) => ({ kind: 'missing-value', name, line })) }
    }
    const { plan, diagnostics } = this.#plan(values)
    if (plan === undefined)
      return { faults: diagnostics.map((diagnostic) => ({ kind: 'template', diagnostic })) }
    const faults = commentFaults(plan, values)
    if (faults.length > 0) return { faults }
    const text = plan.pieces.map((piece) => write(piece, plan, values)).join('')
    const fault = this.#difference(plan, text, values)
    return fault === undefined ? { text } : { faults: [fault] }
  }

  #plan(values: Values): { plan?: Plan; diagnostics: Diagnostic[] } {
    const marked = markValues(this.#template, values)
    const known = this.#plans.get(marked.text)
    if (known !== undefined) return { plan: known, diagnostics: [] }
    const { plan, diagnostics } = makePlan(this.#template, marked)
    if (plan === undefined) return { diagnostics }
    if (this.#plans.size < maxPlans) this.#plans.set(marked.text, plan)
    return { plan, diagnostics: [] }
  }

  /** Parses what was rendered and compares it, node by node, with the template's own structure. */
  #difference(plan: Plan, text: string, values: Values): RenderFault | undefined {
    const { document, faults } = readYaml(text)
    const [error] = faults
    if (error !== undefined)
      return { kind: 'value', message: `The rendered user-data is not YAML: ${error.message}` }
    const expected = (scalar: Scalar) => {
      const { value } = scalar
      if (typeof value !== 'string') return value
      return resolve(splitAtMarkers(this.#template, value), { isPlain: isPlain(scalar) }, plan, values)
    }
    if (isSame(plan.document.contents, document.contents, expected)) return undefined
    return { kind: 'value', message: 'A value would change the structure of the user-data.' }
  }
}

/** The value of a scalar: a number or a boolean stays what it is where it alone is a plain scalar. */
function resolve(
  parts: readonly Part[],
  { isPlain }: { isPlain: boolean },
  plan: Plan,
  values: Values,
): string | number | boolean {
  const [only] = parts
  if (isPlain && parts.length === 1 && typeof only === 'number') return valueOf(only, plan, values)
  return join(parts, plan, values)
}

function join(parts: readonly Part[], plan: Plan, values: Values): string {
  return parts.map((part) => (typeof part === 'string' ? part : String(valueOf(part, plan, values)))).join('')
}

function valueOf(marker: number, { names }: Plan, values: Values): string | number | boolean {
  return values.get(names[marker] ?? '') ?? ''
}

function write(piece: Piece, plan: Plan, values: Values): string {
  switch (piece.kind) {
    case 'text':
      return piece.text
    case 'comment':
      return String(valueOf(piece.marker, plan, values))
    case 'scalar': {
      const value = resolve(piece.value, piece, plan, values)
      return typeof value === 'string' ? doubleQuoted(value) : String(value)
    }
    case 'block': {
      const isAsItIs = piece.source.every(
        (part) => typeof part === 'string' || isTame(String(valueOf(part, plan, values))),
      )
      return isAsItIs
        ? join(piece.source, plan, values)
        : `${doubleQuoted(join(piece.value, plan, values))}\n`
    }
  }
}

function commentFaults(plan: Plan, values: Values): RenderFault[] {
  return plan.pieces.flatMap((piece): RenderFault[] => {
    if (piece.kind !== 'comment' || !unprintable.test(String(valueOf(piece.marker, plan, values)))) return []
    const name = plan.names[piece.marker] ?? ''
    const message = `The value has a line end, or a character that is not printable, and {{${name}}} stands in a comment.`
    return [{ kind: 'value', name, message }]
  })
}

type Expected = (scalar: Scalar) => unknown

function isSame(a: unknown, b: unknown, expected: Expected): boolean {
  if (isPair(a)) return isPair(b) && isSame(a.key, b.key, expected) && isSame(a.value, b.value, expected)
  if (isAlias(a) || isAlias(b)) return isAlias(a) && isAlias(b) && a.source === b.source
  if (!isNode(a) || !isNode(b)) return a === b
  if (a.anchor !== b.anchor || a.tag !== b.tag) return false
  if (isScalar(a)) return isScalar(b) && Object.is(expected(a), b.value)
  if (!isCollection(a) || !isCollection(b) || isMap(a) !== isMap(b)) return false
  return (
    a.items.length === b.items.length &&
    a.items.every((item, index) => isSame(item, b.items[index], expected))
  )
}
