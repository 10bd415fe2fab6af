import { argumentCatalogue } from './argument-catalogue.ts'
import { existsAt } from './argument-findings.ts'
import { describeType } from './argument-types.ts'
import type { DeclaredArgument } from './earthfile.ts'

/** An argument that a tag takes. */
export type ReleaseArgument = {
  name: string
  /** What it takes, in words; left out for advanced ones, whose values CanvOS alone knows. */
  values?: string
  description?: string
  /** The default as the Earthfile writes it; may refer to other arguments. */
  default?: string
  required: boolean
  /** True for an argument that the Earthfile declares and the documentation does not mention. */
  advanced: boolean
}

/** The arguments of a tag: the documented ones that it has, then what else its Earthfile declares. */
export function releaseArguments(tag: string, declared: readonly DeclaredArgument[]): ReleaseArgument[] {
  const documented = argumentCatalogue.filter(
    (definition) =>
      ['earthfile', 'target'].includes(definition.readBy) && existsAt(definition, { tag, declared }),
  )
  const names = new Set(documented.map(({ name }) => name))
  const advanced = declared.filter(
    ({ name }, index) => !names.has(name) && declared.findIndex((other) => other.name === name) === index,
  )
  return [
    ...documented.map((definition) => ({
      name: definition.name,
      values: describeType(definition.type),
      description: definition.description,
      ...defaultOf(definition.name, declared, definition.default),
      required: definition.requiredFor?.includes('iso') === true,
      advanced: false,
    })),
    ...advanced.map(({ name }) => ({
      name,
      ...defaultOf(name, declared, undefined),
      required: false,
      advanced: true,
    })),
  ]
}

function defaultOf(
  name: string,
  declared: readonly DeclaredArgument[],
  otherwise: string | undefined,
): { default?: string } {
  const value =
    declared.find((argument) => argument.name === name && !argument.conditional)?.default ?? otherwise
  return value === undefined ? {} : { default: value }
}
