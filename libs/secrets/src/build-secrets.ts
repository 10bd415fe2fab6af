import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { earthlySecrets, ubuntuProSecretId, type BuildSecrets, type Secret } from '@edgesmith/contract/secret'
import type { SecretValue } from '@edgesmith/contract/secret'
import { ProblemError } from '@edgesmith/contract/problem'
import { UnsealError } from './keyring.ts'
import { getSecret, openSecret, requireKeyring, type Vault } from './secret-store.ts'

/** A name of a secret in a spec, and what it is for. */
type Use = { readonly name: string; readonly pointer: string; readonly takes: readonly Secret['kind'][] }

const singleValued = ['opaque', 'palette-api-key', 'ubuntu-pro'] as const

function* usesOf({ registries, ubuntuPro, earthly }: BuildSecrets): Generator<Use> {
  for (const [index, name] of (registries ?? []).entries()) {
    yield { name, pointer: `/secrets/registries/${index}`, takes: ['registry'] }
  }
  if (ubuntuPro !== undefined) yield { name: ubuntuPro, pointer: '/secrets/ubuntuPro', takes: ['ubuntu-pro'] }
  for (const [id, name] of Object.entries(earthly ?? {})) {
    yield { name, pointer: `/secrets/earthly/${id}`, takes: singleValued }
  }
}

/**
 * What is wrong with the secrets that a spec names. No secret is opened but to see whether it can be.
 * @throws ProblemError `secrets-unavailable` when the spec names any and there are no keys
 */
export async function checkBuildSecrets(
  vault: Vault,
  secrets: BuildSecrets | undefined,
): Promise<Diagnostic[]> {
  const uses = [...usesOf(secrets ?? {})]
  if (uses.length > 0) requireKeyring(vault)
  const diagnostics: Diagnostic[] = []
  const fault = (pointer: string, code: string, message: string) => {
    diagnostics.push({ severity: 'error', code: `secrets.${code}`, message, source: 'spec', pointer })
  }
  const registries = new Map<string, string>()
  for (const { name, pointer, takes } of uses) {
    const secret = await findSecret(vault, name)
    if (secret === undefined) {
      fault(pointer, 'not-found', `The project has no secret ${name}. Store it with PUT /v1/secrets/${name}.`)
    } else if (secret.state !== 'usable') {
      const message =
        secret.state === 'unknown-key'
          ? `The secret ${name} is sealed with a key that the service does not have. Set it anew.`
          : `What is stored of the secret ${name} is damaged. Set it anew.`
      fault(pointer, secret.state, message)
    } else if (!takes.includes(secret.kind)) {
      fault(
        pointer,
        'kind',
        `The secret ${name} is of kind ${secret.kind}; ${takes.join(' or ')} is needed here.`,
      )
    } else if (secret.registry !== undefined) {
      const other = registries.get(secret.registry)
      if (other !== undefined) {
        fault(
          pointer,
          'same-registry',
          `The secrets ${other} and ${name} are both for ${secret.registry}. Name one of them.`,
        )
      }
      registries.set(secret.registry, name)
    }
  }
  if (secrets?.ubuntuPro !== undefined && secrets.earthly?.[ubuntuProSecretId] !== undefined) {
    fault(
      `/secrets/earthly/${ubuntuProSecretId}`,
      'same-id',
      `${ubuntuProSecretId} is what secrets.ubuntuPro stands for. Name the secret in one of the two places.`,
    )
  }
  return diagnostics
}

async function findSecret(
  vault: Vault,
  name: string,
): Promise<Pick<Secret, 'state' | 'kind' | 'registry'> | undefined> {
  try {
    return await getSecret(vault, name)
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    if (error.code === 'secret-not-found') return undefined
    if (error.code === 'secret-damaged') return { state: 'damaged', kind: 'opaque' }
    throw error
  }
}

/** The versions of the secrets that a build hands to Earthly, by the names that the Earthfile has for them. */
export async function earthlySecretVersions(
  vault: Vault,
  secrets: BuildSecrets | undefined,
): Promise<Record<string, string>> {
  const versions: Record<string, string> = {}
  for (const [id, name] of Object.entries(earthlySecrets(secrets))) {
    versions[id] = await getSecret(vault, name).then(
      ({ version }) => version,
      (error: unknown) => {
        // The run tells what is missing.
        if (error instanceof ProblemError) return ''
        throw error
      },
    )
  }
  return versions
}

/** A secret of a build cannot be had; the message says which, and what to do. */
export class SecretUnavailable extends Error {
  override name = 'SecretUnavailable'
}

/** The secrets of a build, opened. */
export type OpenedBuildSecrets = {
  /** By the names that the Earthfile has for them: what they hold, and the version of it. */
  readonly earthly: ReadonlyMap<string, { readonly value: string; readonly version: string }>
  /** By registry. */
  readonly registries: ReadonlyMap<string, RegistryCredentials>
}

export type RegistryCredentials = { readonly username: string; readonly password: string }

/** Opens the secrets that a build names. @throws SecretUnavailable */
export async function openBuildSecrets(
  vault: Vault,
  secrets: BuildSecrets | undefined,
): Promise<OpenedBuildSecrets> {
  const earthly = new Map<string, { value: string; version: string }>()
  const registries = new Map<string, RegistryCredentials>()
  for (const name of secrets?.registries ?? []) {
    const { value } = await open(vault, name)
    if (value.kind !== 'registry') throw wrongKind(name)
    registries.set(value.registry, { username: value.username, password: value.password })
  }
  for (const [id, name] of Object.entries(earthlySecrets(secrets))) {
    const { value, version } = await open(vault, name)
    if (value.kind === 'registry') throw wrongKind(name)
    earthly.set(id, { value: onlyValue(value), version })
  }
  return { earthly, registries }
}

async function open(vault: Vault, name: string) {
  try {
    const opened = await openSecret(vault, name)
    if (opened !== undefined) return opened
  } catch (error) {
    if (!(error instanceof UnsealError) && !(error instanceof ProblemError)) throw error
    throw new SecretUnavailable(`The secret ${name} cannot be opened: ${error.message} Set it anew.`, {
      cause: error,
    })
  }
  throw new SecretUnavailable(
    `The project has no secret ${name} any more. Set it again, and retry the build.`,
  )
}

function wrongKind(name: string): SecretUnavailable {
  return new SecretUnavailable(`The secret ${name} is now of a kind that the build cannot use. Set it anew.`)
}

function onlyValue(value: Exclude<SecretValue, { kind: 'registry' }>): string {
  switch (value.kind) {
    case 'opaque':
      return value.value
    case 'palette-api-key':
      return value.apiKey
    case 'ubuntu-pro':
      return value.token
  }
}

/** How Docker's configuration calls Docker Hub (docker/cli, `IndexServer`). */
const dockerHub = 'https://index.docker.io/v1/'

/** Docker's `config.json` with the credentials; undefined when there are none. */
export function dockerConfigOf({ registries }: Pick<OpenedBuildSecrets, 'registries'>): string | undefined {
  if (registries.size === 0) return undefined
  const auths = [...registries].map(([registry, { username, password }]) => [
    registry === 'docker.io' ? dockerHub : registry,
    { auth: Buffer.from(`${username}:${password}`).toString('base64') },
  ])
  return JSON.stringify({ auths: Object.fromEntries(auths) as unknown })
}
