import { gpuArguments } from './argument-catalogue-gpu.ts'
import { imageArguments } from './argument-catalogue-images.ts'
import { optionArguments } from './argument-catalogue-options.ts'
import { otherTargetArguments, trustedBootArguments } from './argument-catalogue-targets.ts'
import type { ArgumentDefinition } from './argument-definition.ts'

/** Every documented argument of CanvOS. The tags' own Earthfiles declare more, for advanced use. */
export const argumentCatalogue: readonly ArgumentDefinition[] = [
  ...imageArguments,
  ...optionArguments,
  ...trustedBootArguments,
  ...gpuArguments,
  ...otherTargetArguments,
]

const byName = new Map(argumentCatalogue.map((definition) => [definition.name, definition]))

/** The documented argument of that name. */
export function findArgument(name: string): ArgumentDefinition | undefined {
  return byName.get(name)
}
