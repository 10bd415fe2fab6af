import { join } from 'node:path'
import { lastLine, runCommand } from './command.ts'
import { repositoryDirectory } from './paths.ts'

/**
 * Makes sure that there is an engine image and returns its reference: the one ENGINE_IMAGE names, or
 * the one `deploy/engine/build.sh` builds from Debian packages and Go modules (once; it finds the
 * image again).
 * @throws CommandError when the build fails.
 */
export async function ensureEngineImage(dockerHost: string): Promise<string> {
  const given = process.env['ENGINE_IMAGE']
  if (given !== undefined && given !== '') return given
  return lastLine(
    await runCommand(join(repositoryDirectory, 'deploy/engine/build.sh'), [], {
      env: { DOCKER_HOST: dockerHost },
    }),
  )
}
