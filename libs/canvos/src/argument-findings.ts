import { closest, distance } from 'fastest-levenshtein'
import type { BuildTarget, InputRole } from '@edgesmith/contract/build-spec'
import type { Diagnostic, Severity } from '@edgesmith/contract/diagnostic'
import { maskedArgument } from '@edgesmith/redaction/masked-argument'
import { unwritable } from './arg-file.ts'
import type { ParsedArgFile } from './arg-file.ts'
import { argumentCatalogue, findArgument } from './argument-catalogue.ts'
import type { ArgumentDefinition } from './argument-definition.ts'
import { misfit } from './argument-types.ts'
import type { DeclaredArgument } from './earthfile.ts'
import type { KubernetesVersions } from './kubernetes-versions.ts'
import { isAtLeast } from './tag.ts'

export type ArgumentsToValidate = {
  tag: string
  target: BuildTarget
  /** The `.arg` file, parsed. */
  argFile?: Pick<ParsedArgFile, 'entries' | 'unreadable'> | undefined
  /** The arguments of the build spec; they take precedence over those of the file. */
  arguments?: Readonly<Record<string, string | boolean | number>> | undefined
  /** What the tag's Earthfile declares (`declaredArguments`). Without it the catalogue has to do. */
  declared?: readonly DeclaredArgument[] | undefined
  kubernetesVersions?: KubernetesVersions | undefined
  /** The files that come with the build (`listInputs`). */
  inputs?: readonly { role: InputRole }[] | undefined
  /** Names of the build secrets that the build will get. */
  secrets?: readonly string[] | undefined
}

/** An argument that the user set, and where. */
export type GivenArgument = {
  name: string
  value: string
  where: Pick<Diagnostic, 'source' | 'pointer' | 'line' | 'column'>
}

/** What Earthly and EarthBuild set themselves (EarthBuild `variables/reserved/names.go`). */
const builtIn = /^(EARTH(LY)?_.*|(NATIVE|TARGET|USER)(ARCH|OS|PLATFORM|VARIANT))$/

const fieldOf: Partial<Record<InputRole, string>> = {
  clusterDefinition: 'clusterDefinition',
  edgeCustomConfig: 'edgeCustomConfig',
  cert: 'certs',
}

export type Finding = { severity: Severity; code: string; message: string }

function error(code: string, message: string): Finding {
  return { severity: 'error', code, message }
}

function warning(code: string, message: string): Finding {
  return { severity: 'warning', code, message }
}

/** What is wrong with one argument by itself. */
export function findingsOf(
  argument: GivenArgument,
  given: ReadonlyMap<string, GivenArgument>,
  input: ArgumentsToValidate,
): Finding[] {
  const { name, value } = argument
  if (builtIn.test(name)) return [error('arguments.built-in', `${name} is set by Earthly itself. Remove it.`)]
  const cannotWrite = unwritable(name, value)
  if (cannotWrite !== undefined) return [{ severity: 'error', ...cannotWrite }]
  const exposed = credential(argument)
  if (exposed !== undefined) return [exposed]
  const definition = findArgument(name)
  if (definition === undefined) {
    return input.declared?.some((declaration) => declaration.name === name) === true
      ? []
      : [unknownArgument(name, input)]
  }
  if (definition.setByInput !== undefined)
    return fileArgument(definition, definition.setByInput, value, input)
  const absent = notInTag(definition, value, input)
  if (absent !== undefined) return [absent]
  if (value === '') {
    if (definition.mayBeEmpty === true) return []
    return [
      error(
        'arguments.empty',
        `${name} is empty, which is not the same as left out: its default would not apply. Remove it or give it a value.`,
      ),
    ]
  }
  const wrong = misfit(definition.type, value)
  if (wrong !== undefined)
    return [error('arguments.invalid-value', `${name} cannot be “${shown(name, value)}”. ${wrong}`)]
  return [...remarks(definition, value, given)]
}

/** Only proxies have passwords as arguments: CanvOS has no other way for them. The Ubuntu Pro token has rules of its own. */
function credential({ name, value }: GivenArgument): Finding | undefined {
  if (/_proxy$/i.test(name) || name === 'UBUNTU_PRO_KEY' || /^(true|false)?$/.test(value)) return undefined
  if (maskedArgument(name, value) === value) return undefined
  return error(
    'arguments.credential',
    `${name} holds a password or a token; arguments stay readable in the log, in the cache and in images. Remove it, and store the value with PUT /v1/secrets: the spec names it in secrets.registries or, where the Earthfile takes it as a secret, in secrets.earthly.`,
  )
}

/** A value as a message tells it: short, and without credentials. */
function shown(name: string, value: string): string {
  const masked = maskedArgument(name, value)
  return masked.length > 80 ? `${masked.slice(0, 80)}…` : masked
}

function unknownArgument(name: string, { tag, declared }: ArgumentsToValidate): Finding {
  const names = [...new Set([...argumentCatalogue, ...(declared ?? [])].map((known) => known.name))]
  const nearest =
    names.find((known) => known.toLowerCase() === name.toLowerCase()) ?? closest(name.toUpperCase(), names)
  const near = distance(name.toUpperCase(), nearest.toUpperCase()) <= Math.max(2, Math.floor(name.length / 4))
  return error(
    'arguments.unknown',
    `${name} is not an argument of CanvOS ${tag}. ${near ? `Did you mean ${nearest}?` : 'Remove it.'}`,
  )
}

/** An argument that names a file of the CanvOS tree: the service sets it when the file is sent. */
function fileArgument(
  definition: ArgumentDefinition,
  role: InputRole,
  value: string,
  input: ArgumentsToValidate,
): Finding[] {
  if (value === '') return []
  const field = fieldOf[role] ?? role
  const roles: InputRole[] = role === 'edgeCustomConfig' ? [role, 'publicKey'] : [role]
  const sent = input.inputs?.find((file) => roles.includes(file.role))
  if (sent !== undefined) {
    return [
      {
        severity: 'info',
        code: 'arguments.set-by-service',
        message: `${definition.name} is set by the service, to the place of the file sent as ${fieldOf[sent.role] ?? sent.role}; “${shown(definition.name, value)}” is not used.`,
      },
    ]
  }
  // `.arg.template` sets the Earthfile's own default, which `COPY --if-exists` takes or leaves.
  if (input.declared?.some((argument) => argument.name === definition.name && argument.default === value)) {
    return [
      {
        severity: 'warning',
        code: 'arguments.file-not-sent',
        message: `${definition.name} names the file “${shown(definition.name, value)}”, as CanvOS does by itself, and the build does not have it. Send the file as the input ${field} if it is to be in the image.`,
      },
    ]
  }
  return [
    error(
      'arguments.file-not-sent',
      `${definition.name} names the file “${shown(definition.name, value)}”, which the build does not have. Send the file as the input ${field}, or remove the argument.`,
    ),
  ]
}

/** True when the tag has the argument: by its Earthfile where that was read, else by its version. */
export function existsAt(
  definition: ArgumentDefinition,
  { tag, declared }: Pick<ArgumentsToValidate, 'tag' | 'declared'>,
): boolean {
  if (definition.readBy === 'earthfile' && declared !== undefined) {
    return declared.some((declaration) => declaration.name === definition.name)
  }
  const { since, until } = definition
  return (since === undefined || isAtLeast(tag, since)) && (until === undefined || !isAtLeast(tag, until))
}

/** An argument that this tag does not have would be ignored without a word. */
function notInTag(
  definition: ArgumentDefinition,
  value: string,
  input: ArgumentsToValidate,
): Finding | undefined {
  const { name, since } = definition
  if (name === 'UBUNTU_PRO_KEY' || existsAt(definition, input)) return undefined
  const range = since === undefined || isAtLeast(input.tag, since) ? '' : ` It exists from v${since} on.`
  const message = `CanvOS ${input.tag} does not have ${name} and would ignore it.${range}`
  const harmless = value === '' || value === definition.default
  return harmless
    ? warning('arguments.not-in-tag', `${message} Remove it.`)
    : error('arguments.not-in-tag', `${message} Remove it, or build a tag that has it.`)
}

function* remarks(
  definition: ArgumentDefinition,
  value: string,
  given: ReadonlyMap<string, GivenArgument>,
): Generator<Finding> {
  const { name, deprecated, onlyWith, otherTarget } = definition
  const deprecation = deprecated ?? definition.deprecatedValues?.[value]
  if (deprecation !== undefined)
    yield warning('arguments.deprecated', `${name}=${shown(name, value)}: ${deprecation}`)
  const preview = definition.previewValues?.[value]
  if (preview !== undefined)
    yield warning('arguments.tech-preview', `${name}=${shown(name, value)}: ${preview}`)
  if (otherTarget !== undefined) {
    yield {
      severity: 'info',
      code: 'arguments.no-effect',
      message: `${name} is for CanvOS’s target ${otherTarget} and has no effect on this build.`,
    }
  }
  if (
    onlyWith !== undefined &&
    given.get(onlyWith.name)?.value !== onlyWith.value &&
    value !== definition.default
  ) {
    yield warning(
      'arguments.no-effect',
      `${name} has no effect without ${onlyWith.name}=${onlyWith.value}. Set that too, or remove it.`,
    )
  }
}
