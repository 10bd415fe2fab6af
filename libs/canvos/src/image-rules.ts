import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { argumentPointer } from './arg-file.ts'
import { isAllowedImage, type AllowedImages } from './allowed-images.ts'
import { findArgument } from './argument-catalogue.ts'
import { image, registry } from './argument-types.ts'
import type { Earthfile } from './earthfile.ts'

export type ImagesToJudge = {
  readonly earthfile: Pick<Earthfile, 'references' | 'defaults'>
  /** What whoever builds has set, and where. */
  readonly given: readonly { name: string; value: string; source: Diagnostic['source'] }[]
  /** What the operator has set for all builds. */
  readonly operator: Readonly<Record<string, string>>
  readonly allowed: AllowedImages
}

/** `$NAME` and `${NAME}`. */
const variable = /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?:[^A-Za-z0-9_}][^}]*)?\}|([A-Za-z_][A-Za-z0-9_]*))/

/** How often the alternatives of an expression are followed, so that no Earthfile takes long. */
const maxExpansions = 500

/**
 * Judges what the arguments of a build make of the images and targets that CanvOS's Earthfile refers to.
 * None may become a target of another repository, or of another directory: what is built is CanvOS as it
 * is. Where the operator lists images, those that arguments change have to be on the list.
 */
export function judgeImages({ earthfile, given, operator, allowed }: ImagesToJudge): Diagnostic[] {
  const diagnostics = new Map<string, Diagnostic>()
  const values = new Map([
    ...Object.entries(operator),
    ...given.map(({ name, value }) => [name, value] as const),
  ])
  const own = new Map(given.map((argument) => [argument.name, argument]))
  const tell = (name: string, code: string, message: string) => {
    const source = own.get(name)?.source ?? 'arguments'
    const pointer = source === 'argFile' ? `/${name}` : argumentPointer(name)
    const documentation = 'docs/arguments.md#rules'
    diagnostics.set(`${name} ${code}`, { severity: 'error', code, message, source, pointer, documentation })
  }
  const refuse = (name: string, reference: string) => {
    tell(
      name,
      'arguments.image-not-allowed',
      `${name} leads to ${reference}, which is not among the images that builds may use: ${allowed.join(', ')} (ALLOWED_IMAGES).`,
    )
  }
  for (const { kind, expression } of earthfile.references) {
    for (const { text, used, leading } of expand(expression, values, earthfile.defaults)) {
      const names = used.filter((name) => own.has(name))
      const [first] = names
      if (first === undefined) continue
      if (text.includes('+') && !expression.includes('+')) {
        const message = `${first} would make CanvOS build a target of its choice, ${text}. Only CanvOS as it is is built.`
        tell(first, 'arguments.foreign-target', message)
      } else if (kind === 'image' && !isAllowedImage(text.replace(variable, 'unset'), allowed)) {
        for (const name of leading) if (own.has(name)) refuse(name, text)
      }
    }
  }
  for (const { name, value } of given) {
    const type = findArgument(name)?.type
    if (value === '' || (type !== image && type !== registry)) continue
    // A registry is where something below it is pushed to.
    if (!isAllowedImage(type === registry ? `${value}/image` : value, allowed)) refuse(name, value)
  }
  return [...diagnostics.values()]
}

/** What an expression may become. */
type Expansion = {
  text: string
  /** The arguments that it is made of. */
  used: string[]
  /** Those of them that decide of registry and namespace, and not of the end of the name or the tag alone. */
  leading: string[]
}

function expand(
  expression: string,
  values: ReadonlyMap<string, string>,
  defaults: ReadonlyMap<string, readonly string[]>,
): Expansion[] {
  const finished: Expansion[] = []
  const open: Expansion[] = [{ text: expression, used: [], leading: [] }]
  for (let steps = 0; steps < maxExpansions; steps += 1) {
    const next = open.pop()
    if (next === undefined) break
    const match = variable.exec(next.text)
    const name = match?.[1] ?? match?.[2]
    if (match === null || name === undefined) {
      finished.push(next)
      continue
    }
    const value = values.get(name)
    const alternatives = value !== undefined ? [value] : (defaults.get(name) ?? [])
    if (alternatives.length === 0 || next.used.includes(name)) {
      finished.push(next)
      continue
    }
    for (const alternative of alternatives) {
      // What comes before is expanded already.
      const [before, after] = [
        next.text.slice(0, match.index),
        next.text.slice(match.index + match[0].length),
      ]
      const isTail = before.includes('/') && !alternative.includes('/') && !after.includes('/')
      open.push({
        text: `${before}${alternative}${after}`,
        used: [...next.used, name],
        leading: isTail ? next.leading : [...next.leading, name],
      })
    }
  }
  return finished
}
