import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lastLine, runCommand } from './command.ts'
import { repositoryDirectory, stateDirectory } from './paths.ts'

/** The CanvOS fixture (`test/fixtures/canvos`), ready to be built from. */
export type Fixture = {
  /** Path of the bare git repository, for CANVOS_REPOSITORY. */
  readonly repository: string
  /** Address, `host:port`, of the registry that serves its base images. */
  readonly registry: string
  /** File of the build arguments that point a build at that registry, for DEFAULT_ARG_FILE. */
  readonly argFile: string
}

type RegistryAnswer = { readonly registry: string; readonly args: Readonly<Record<string, string>> }

/**
 * Makes sure that the fixture's git repository and base images are there and that a local OCI
 * registry serves the images. What is already there is used again.
 * @throws CommandError when one of the scripts of `deploy/fixture` fails.
 */
export async function ensureFixture(dockerHost: string): Promise<Fixture> {
  const directory = join(stateDirectory, 'fixture')
  const scripts = join(repositoryDirectory, 'deploy/fixture')
  const argFile = join(directory, 'registry.arg')
  await mkdir(directory, { recursive: true })
  const repository = lastLine(
    await runCommand(join(scripts, 'make-repository.sh'), [join(directory, 'canvos.git')]),
  )
  const answer = lastLine(await runCommand(join(scripts, 'up.sh'), [], { env: { DOCKER_HOST: dockerHost } }))
  const { registry, args } = JSON.parse(answer) as RegistryAnswer
  await writeFile(
    argFile,
    Object.entries(args)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  return { repository, registry, argFile }
}
