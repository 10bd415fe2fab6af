import { runCommand } from '../setup/command.ts'
import { ensureDebianPackages, neededBy } from '../setup/debian-packages.ts'
import { ensureFixture } from '../setup/fixture.ts'

const publicRepository = 'https://github.com/spectrocloud/CanvOS.git'
const reachableWithinMs = 10_000

/** The CanvOS that is built, in the form of the environment variables that choose it. */
export type ChosenCanvos = {
  readonly description: string
  readonly env: Readonly<Record<string, string>>
}

async function isReachable(repository: string): Promise<boolean> {
  try {
    await runCommand('git', ['ls-remote', '--exit-code', repository, 'HEAD'], {
      env: { GIT_TERMINAL_PROMPT: '0' },
      signal: AbortSignal.timeout(reachableWithinMs),
      stderr: 'quiet',
    })
    return true
  } catch {
    return false
  }
}

/**
 * Chooses what to build: the repository that CANVOS_REPOSITORY names, else the public CanvOS where it
 * can be reached, else the fixture of this repository, which is set up.
 */
export async function chooseCanvos(dockerHost: string): Promise<ChosenCanvos> {
  const given = process.env['CANVOS_REPOSITORY']
  if (given !== undefined && given !== '') {
    return { description: `CanvOS of CANVOS_REPOSITORY (${given})`, env: { CANVOS_REPOSITORY: given } }
  }
  if (await isReachable(publicRepository)) {
    return {
      description: `the public CanvOS (${publicRepository})`,
      env: { CANVOS_REPOSITORY: publicRepository },
    }
  }
  await ensureDebianPackages(neededBy.fixture)
  const { repository, registry, argFile } = await ensureFixture(dockerHost)
  return {
    description: `the CanvOS fixture of this repository, since ${publicRepository} cannot be reached`,
    env: { CANVOS_REPOSITORY: repository, DEFAULT_ARG_FILE: argFile, INSECURE_REGISTRIES: registry },
  }
}
