import { join } from 'node:path'
import { CommandError, lastLine, runCommand } from './command.ts'
import { ensureDebianPackages, neededBy } from './debian-packages.ts'
import { ensureDocker } from './docker.ts'
import { ensureEngineImage } from './engine-image.ts'
import { repositoryDirectory } from './paths.ts'
import { phase } from './progress.ts'

/** What a builder needs of this machine, in the form of its environment variables. */
export type Engine = {
  readonly DOCKER_HOST: string
  readonly ENGINE_IMAGE: string
  readonly SBOM_TOOL?: string
}

/** Makes sure that there are the programs of the services, Docker, and the engine image. */
export async function ensureEngine(): Promise<Engine> {
  const forImage = (process.env['ENGINE_IMAGE'] ?? '') === '' ? neededBy.engineImage : []
  await phase('Debian packages', () => ensureDebianPackages([...neededBy.standalone, ...forImage]))
  const dockerHost = await phase('Docker', ensureDocker)
  const engineImage = await phase('Engine image', () => ensureEngineImage(dockerHost))
  return { DOCKER_HOST: dockerHost, ENGINE_IMAGE: engineImage, ...(await findSyft()) }
}

/** The syft that `deploy/syft/install.sh` has built, unless one is named; no start waits minutes for it. */
async function findSyft(): Promise<Pick<Engine, 'SBOM_TOOL'>> {
  const { SBOM_TOOL: named } = process.env
  if (named !== undefined) return { SBOM_TOOL: named }
  try {
    const install = join(repositoryDirectory, 'deploy/syft/install.sh')
    return { SBOM_TOOL: lastLine(await runCommand(install, ['--cached'], { stderr: 'quiet' })) }
  } catch (error) {
    if (error instanceof CommandError) return {}
    throw error
  }
}
