import { layoutInputs } from '@edgesmith/canvos/workspace'
import type { Build } from '@edgesmith/contract/build'
import type { InputRole } from '@edgesmith/contract/build-spec'
import { projectOf } from '@edgesmith/contract/project'
import type { ClientSecrets } from '@edgesmith/engine/client-container'
import { findInDocument, privateKeysOf } from '@edgesmith/redaction/find-secrets'
import { secretsOfArgument } from '@edgesmith/redaction/masked-argument'
import {
  dockerConfigOf,
  openBuildSecrets,
  SecretUnavailable,
  type OpenedBuildSecrets,
} from '@edgesmith/secrets/build-secrets'
import { UnsealError } from '@edgesmith/secrets/keyring'
import { unsealArguments } from '@edgesmith/secrets/sealed-arguments'
import { ProblemError } from '@edgesmith/contract/problem'
import { readRange } from '@edgesmith/inputs/stored-file'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { BuildFault } from './build-fault.ts'
import type { ProjectContext } from './context.ts'
import { findInputs } from './workspace.ts'

/** What a build knows that nobody else is to: for its run alone. */
export type BuildSecrets = {
  /** What Earthly is handed; undefined for nothing. */
  readonly client: ClientSecrets | undefined
  /** Credentials by registry. */
  readonly registries: OpenedBuildSecrets['registries']
  /** The arguments as they were given. */
  readonly arguments: Readonly<Record<string, string>>
}

/** Roles of inputs that hold settings, and of those that hold keys. */
const settings: readonly InputRole[] = ['userData', 'argFile', 'edgeCustomConfig']
const keys: readonly InputRole[] = ['cert', 'secureBoot', 'overlay']

/** Most bytes of a file that secrets are looked for in. */
const fileLimit = 2 * 1024 * 1024

/** A secret was set anew after the build was planned: it is to be planned again. */
export class SecretsChanged extends Error {
  override name = 'SecretsChanged'
}

/**
 * Opens the secrets that a build names, and the arguments that are sealed in its record.
 * @param planned the versions that the secrets of Earthfiles had when the build was planned, where that matters
 * @throws BuildFault `secret-unavailable`, SecretsChanged
 */
export async function openSecrets(
  context: ProjectContext,
  build: Build,
  planned?: Readonly<Record<string, string>>,
): Promise<BuildSecrets> {
  const vault = { project: projectOf(build), store: context.store, keyring: context.keyring }
  const opened = await told(() => openBuildSecrets(vault, build.spec.secrets))
  const changed = [...opened.earthly].find(
    ([id, { version }]) => planned !== undefined && planned[id] !== version,
  )
  if (changed !== undefined) throw new SecretsChanged(`The secret ${changed[0]} was set anew meanwhile.`)
  const given = await told(() => Promise.resolve(unsealArguments(vault, build)))
  const earthly = new Map([...opened.earthly].map(([id, { value }]) => [id, value]))
  const dockerConfig = dockerConfigOf(opened)
  return {
    client: earthly.size === 0 && dockerConfig === undefined ? undefined : { earthly, dockerConfig },
    registries: opened.registries,
    arguments: given,
  }
}

async function told<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    if (error instanceof SecretUnavailable)
      throw new BuildFault('secret-unavailable', error.message, { cause: error })
    if (!(error instanceof UnsealError) && !(error instanceof ProblemError)) throw error
    const detail = `An argument with a password cannot be unsealed: ${error.message} Submit a new build.`
    throw new BuildFault('secret-unavailable', detail, { cause: error })
  }
}

/** All that is to be masked in what is told of a build: its secrets, and what its inputs hold of them. */
export async function secretsToMask(
  store: ObjectStore,
  build: Build,
  { client, registries, arguments: given }: BuildSecrets,
): Promise<Set<string>> {
  const found = new Set(client?.earthly.values())
  for (const { password } of registries.values()) found.add(password)
  for (const [name, value] of Object.entries(given)) {
    for (const secret of secretsOfArgument(name, value)) found.add(secret)
  }
  const inputs = await findInputs(store, build)
  const { files } = layoutInputs({ tag: build.canvos.tag, inputs, arguments: build.arguments })
  for (const { source, range, size } of [
    ...files.map(({ source, range }) => ({ source, range, size: range?.length ?? source.size })),
    ...inputs
      .filter(({ role }) => role === 'argFile')
      .map((source) => ({ source, range: undefined, size: source.size })),
  ]) {
    const find = settings.includes(source.role)
      ? findInDocument
      : keys.includes(source.role)
        ? privateKeysOf
        : undefined
    if (find === undefined || size > fileLimit) continue
    for (const secret of find((await readRange(store, source, range)).toString('utf8'))) found.add(secret)
  }
  return found
}

/** A context whose registries are asked with the credentials that a build names, as far as they can be had. */
export async function withRegistries(context: ProjectContext, build: Build): Promise<ProjectContext> {
  const registries = build.spec.secrets?.registries
  if (registries === undefined) return context
  const vault = { project: projectOf(build), store: context.store, keyring: context.keyring }
  try {
    const opened = await openBuildSecrets(vault, { registries })
    return { ...context, digests: context.digests.as(opened.registries) }
  } catch (error) {
    // The run tells of it.
    if (error instanceof SecretUnavailable) return context
    throw error
  }
}
