import { ensureDebianPackages, neededBy } from './debian-packages.ts'
import { ensureDocker } from './docker.ts'
import { ensureEngineImage } from './engine-image.ts'
import { phase } from './progress.ts'

/** What a builder needs of this machine, in the form of its environment variables. */
export type Engine = { readonly DOCKER_HOST: string; readonly ENGINE_IMAGE: string }

/** Makes sure that there are the programs of the services, Docker, and the engine image. */
export async function ensureEngine(): Promise<Engine> {
  const forImage = (process.env['ENGINE_IMAGE'] ?? '') === '' ? neededBy.engineImage : []
  await phase('Debian packages', () => ensureDebianPackages([...neededBy.standalone, ...forImage]))
  const dockerHost = await phase('Docker', ensureDocker)
  const engineImage = await phase('Engine image', () => ensureEngineImage(dockerHost))
  return { DOCKER_HOST: dockerHost, ENGINE_IMAGE: engineImage }
}
