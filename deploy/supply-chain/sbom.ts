import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCommand, lastLine } from '../setup/command.ts'
import { runCommandLine } from '../setup/command-line.ts'
import { repositoryDirectory, stateDirectory } from '../setup/paths.ts'
import { makeServiceSbom, missingFromSbom } from './service-sbom.ts'

/**
 * `npm run sbom [-- --images [--tag TAG]]`: writes the SBOM of the service's npm packages and, with `--images`,
 * those of the images that `deploy/images/build.sh` made, Debian packages and all. Prints the paths.
 */
const { values } = parseArgs({
  options: { images: { type: 'boolean', default: false }, tag: { type: 'string' } },
})

const images = ['gateway', 'validation', 'builder', 'artifact', 'redis', 'minio']

await runCommandLine('sbom', async () => {
  const directory = join(stateDirectory, 'sbom')
  await mkdir(directory, { recursive: true })
  const sbom = await makeServiceSbom(repositoryDirectory)
  const missing = await missingFromSbom(repositoryDirectory, sbom)
  if (missing.length > 0) throw new Error(`The SBOM lacks ${missing.join(', ')}.`)
  const file = join(directory, 'service.cdx.json')
  await writeFile(file, `${JSON.stringify(sbom, null, 2)}\n`)
  console.log(file)
  if (!values.images) return
  const syft = lastLine(await runCommand(join(repositoryDirectory, 'deploy/syft/install.sh'), []))
  for (const image of images) {
    const imageFile = join(directory, `image-${image}.cdx.json`)
    const source = `docker:edgesmith/${image}:${values.tag ?? sbom.metadata.component.version}`
    await runCommand(syft, ['scan', source, '--quiet', '--output', `cyclonedx-json=${imageFile}`], {
      env: { SYFT_CHECK_FOR_APP_UPDATE: 'false' },
    })
    console.log(imageFile)
  }
})
