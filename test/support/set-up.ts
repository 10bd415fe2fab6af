import { join } from 'node:path'
import { lastLine, runCommand } from '../../deploy/setup/command.ts'
import { ensureDebianPackages, neededBy } from '../../deploy/setup/debian-packages.ts'
import { ensureDocker } from '../../deploy/setup/docker.ts'
import { ensureEngineImage } from '../../deploy/setup/engine-image.ts'
import { ensureFixture } from '../../deploy/setup/fixture.ts'
import { repositoryDirectory } from '../../deploy/setup/paths.ts'
import { phase } from '../../deploy/setup/progress.ts'
import type { SetUpVariable } from './environment.ts'

/** Sets up everything that the tests need; what is there already is used again. */
export async function setUp(): Promise<Record<SetUpVariable, string>> {
  await phase('Debian packages', () => ensureDebianPackages(Object.values(neededBy).flat()))
  const dockerHost = await phase('Docker', ensureDocker)
  const minio = join(repositoryDirectory, 'deploy/minio/install.sh')
  const installSchemathesis = join(repositoryDirectory, 'test/fuzz/install.sh')
  const installSyft = join(repositoryDirectory, 'deploy/syft/install.sh')
  // The engine, MinIO and syft are built by the Go compiler, which takes all cores it finds; the fixture's images
  // wait for the network.
  const [{ engineImage, syft }, fixture, schemathesis] = await Promise.all([
    phase('Engine image', () => ensureEngineImage(dockerHost)).then(async (image) => {
      await phase('MinIO', () => runCommand(minio, []))
      return { engineImage: image, syft: lastLine(await phase('syft', () => runCommand(installSyft, []))) }
    }),
    phase('CanvOS fixture', () => ensureFixture(dockerHost)),
    phase('Schemathesis', () => runCommand(installSchemathesis, [])),
  ])
  return {
    DOCKER_HOST: dockerHost,
    EDGESMITH_TEST_ENGINE_IMAGE: engineImage,
    EDGESMITH_TEST_SYFT: syft,
    EDGESMITH_TEST_SCHEMATHESIS: lastLine(schemathesis),
    EDGESMITH_TEST_CANVOS_REPOSITORY: fixture.repository,
    EDGESMITH_TEST_CANVOS_ARG_FILE: fixture.argFile,
  }
}
