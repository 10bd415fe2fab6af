import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommandLine } from './setup/command-line.ts'
import { runCommand } from './setup/command.ts'
import { findDocker } from './setup/docker.ts'
import { repositoryDirectory, stateDirectory } from './setup/paths.ts'
import { phase } from './setup/progress.ts'
import { removeWorkers } from './setup/workers.ts'
import { removeStack } from './stack/remove.ts'

/**
 * `npm run clean`: removes what the commands of this repository left on this machine: the stack, what
 * workers made in Docker, the fixture's registry, and `.edgesmith/`. The engine image is kept.
 */
await runCommandLine('clean', async () => {
  const stackDirectory = join(stateDirectory, 'stack')
  if (existsSync(stackDirectory)) await phase('Stack', () => removeStack(stackDirectory))
  const dockerHost = await findDocker()
  if (dockerHost !== undefined) {
    await phase('Workers', () => removeWorkers(dockerHost))
    await phase('Fixture', () =>
      runCommand(join(repositoryDirectory, 'deploy/fixture/down.sh'), [], {
        env: { DOCKER_HOST: dockerHost },
      }),
    )
  }
  await rm(stateDirectory, { recursive: true, force: true })
})
