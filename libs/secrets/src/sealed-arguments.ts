import type { Build } from '@edgesmith/contract/build'
import type { BuildSpec } from '@edgesmith/contract/build-spec'
import type { ProjectRef } from '@edgesmith/contract/project'
import { maskedArgument } from '@edgesmith/redaction/masked-argument'
import { mask } from '@edgesmith/redaction/redactor'
import type { Purpose } from './keyring.ts'
import { requireKeyring, type Vault } from './secret-store.ts'

/** The arguments of a build as they are recorded: none of them holds a password. */
export type RecordedArguments = Pick<Build, 'arguments' | 'sealedArguments'>

/** Characters of the digest that stands behind a mask. */
const digestLength = 16

/**
 * Masks the passwords of arguments, and seals the values for the builder. A digest behind the mask, which tells
 * nothing without the key, keeps builds with different passwords apart.
 * @throws ProblemError `secrets-unavailable` when there is a password and no key
 */
export function sealArguments(
  vault: Pick<Vault, 'project' | 'keyring'>,
  given: Readonly<Record<string, string>>,
): RecordedArguments {
  const recorded: Record<string, string> = {}
  const sealed: NonNullable<Build['sealedArguments']> = {}
  for (const [name, value] of Object.entries(given)) {
    const masked = maskedArgument(name, value)
    recorded[name] = masked
    if (masked === value) continue
    const keyring = requireKeyring(vault)
    const purpose = purposeOf(vault.project, name)
    recorded[name] = masked.replaceAll(
      mask,
      `${mask}${keyring.digest(value, purpose).slice(0, digestLength)}`,
    )
    sealed[name] = keyring.seal(value, purpose)
  }
  return { arguments: recorded, ...(Object.keys(sealed).length === 0 ? {} : { sealedArguments: sealed }) }
}

/**
 * The arguments of a build as they were given.
 * @throws UnsealError, ProblemError `secrets-unavailable`
 */
export function unsealArguments(
  vault: Pick<Vault, 'project' | 'keyring'>,
  { arguments: recorded, sealedArguments = {} }: RecordedArguments,
): Record<string, string> {
  const values = Object.entries(sealedArguments).map(([name, sealed]): [string, string] => [
    name,
    requireKeyring(vault).unseal(sealed, purposeOf(vault.project, name)),
  ])
  return { ...recorded, ...Object.fromEntries(values) }
}

/** The arguments without their passwords. */
export function maskedArguments(given: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, maskedArgument(name, value)]))
}

/** A spec without the passwords of its arguments. */
export function withoutPasswords(spec: BuildSpec): BuildSpec {
  if (spec.arguments === undefined) return spec
  const masked = Object.entries(spec.arguments).map(([name, value]) => [
    name,
    typeof value === 'string' ? maskedArgument(name, value) : value,
  ])
  return { ...spec, arguments: Object.fromEntries(masked) as BuildSpec['arguments'] }
}

function purposeOf({ tenant, project }: ProjectRef, name: string): Purpose {
  return ['argument', tenant, project, name]
}
