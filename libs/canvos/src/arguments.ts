import type { Diagnostic, Severity } from '@edgesmith/contract/diagnostic'
import { argumentPointer } from './arg-file.ts'
import { argumentCatalogue, findArgument } from './argument-catalogue.ts'
import { existsAt, findingsOf } from './argument-findings.ts'
import type { ArgumentsToValidate, GivenArgument } from './argument-findings.ts'
import type { RuleContext } from './argument-rule.ts'
import type { DeclaredArgument } from './earthfile.ts'
import { featureRules } from './feature-rules.ts'
import { platformRules } from './platform-rules.ts'

export type ValidatedArguments = {
  /** The arguments for the build, without those that the service sets for the inputs. */
  arguments: Record<string, string>
  diagnostics: Diagnostic[]
}

/**
 * Checks the arguments of a build, those of its `.arg` file and those of its spec together, against the
 * catalogue, the tag's own Earthfile and Kubernetes versions, and each other. All faults are told at once.
 */
export function validateArguments(input: ArgumentsToValidate): ValidatedArguments {
  const given = collect(input)
  const diagnostics: Diagnostic[] = []
  const faulty = new Set(input.argFile?.unreadable.filter((name) => !given.has(name)))

  const report = (severity: Severity, code: string, name: string, message: string) => {
    const where = given.get(name)?.where ?? { source: 'arguments', pointer: argumentPointer(name) }
    const documentation = `docs/arguments.md#${findArgument(name) === undefined ? 'rules' : name.toLowerCase()}`
    diagnostics.push({ severity, code, message, ...where, documentation })
  }

  for (const argument of given.values()) {
    for (const finding of findingsOf(argument, given, input)) {
      report(finding.severity, finding.code, argument.name, finding.message)
      if (finding.severity === 'error') faulty.add(argument.name)
    }
  }
  const context = contextOf(input, given, faulty)
  for (const definition of argumentCatalogue) {
    const { name, type, requiredFor } = definition
    if (
      requiredFor?.includes(input.target) !== true ||
      !existsAt(definition, input) ||
      context.value(name) !== ''
    )
      continue
    const choices = type.kind === 'choice' ? ` to ${type.values.join(' or ')}` : ''
    report(
      'error',
      'arguments.required',
      name,
      `${name} is not set, and ${input.target} cannot be built without it. Set it${choices}.`,
    )
  }
  for (const rule of [...platformRules, ...featureRules]) {
    const found = rule.check(context)
    if (found !== undefined) report(rule.severity, rule.code, found.about, found.message)
  }
  const kept = [...given.values()].filter(({ name, value }) => {
    const definition = findArgument(name)
    return definition?.setByInput === undefined && (value !== '' || definition?.mayBeEmpty !== true)
  })
  return { arguments: Object.fromEntries(kept.map(({ name, value }) => [name, value])), diagnostics }
}

function collect(input: ArgumentsToValidate): Map<string, GivenArgument> {
  const given = new Map<string, GivenArgument>()
  for (const { key, value, line, valueColumn } of input.argFile?.entries ?? []) {
    given.set(key, {
      name: key,
      value,
      where: { source: 'argFile', pointer: `/${key}`, line, column: valueColumn },
    })
  }
  for (const [name, value] of Object.entries(input.arguments ?? {})) {
    given.set(name, {
      name,
      value: String(value),
      where: { source: 'arguments', pointer: argumentPointer(name) },
    })
  }
  return given
}

function contextOf(
  input: ArgumentsToValidate,
  given: ReadonlyMap<string, GivenArgument>,
  faulty: ReadonlySet<string>,
): RuleContext {
  const { declared } = input
  return {
    tag: input.tag,
    target: input.target,
    isGiven: (name) => given.has(name) || faulty.has(name),
    value: (name) => (faulty.has(name) ? undefined : (given.get(name)?.value ?? defaultOf(name, declared))),
    declares:
      declared === undefined ? undefined : (name) => declared.some((argument) => argument.name === name),
    kubernetesVersions: input.kubernetesVersions,
    isSent: (role) => input.inputs?.some((file) => file.role === role) === true,
    secrets: input.secrets ?? [],
  }
}

/** The default in effect: the Earthfile's where it is plain text, else the catalogue's. */
function defaultOf(name: string, declared: readonly DeclaredArgument[] | undefined): string {
  const declaration = declared?.find((argument) => argument.name === name && !argument.conditional)
  if (declaration?.default !== undefined && !declaration.default.includes('$')) return declaration.default
  return findArgument(name)?.default ?? ''
}
