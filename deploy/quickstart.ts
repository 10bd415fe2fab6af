import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import { ApiClient, download } from './quickstart/api-client.ts'
import { chooseCanvos } from './quickstart/canvos.ts'
import { exampleForm } from './quickstart/example.ts'
import { ProgressBar } from './quickstart/progress-bar.ts'
import { runCommandLine } from './setup/command-line.ts'
import { ensureEngine } from './setup/engine.ts'
import { interruption } from './setup/interruption.ts'
import { stateDirectory } from './setup/paths.ts'
import { phase, say } from './setup/progress.ts'
import { startServiceProcess } from './setup/service-process.ts'

/**
 * `npm run quickstart`: sets up what is missing, starts standalone, builds the installer ISO of
 * `examples/quickstart` through the HTTP API, downloads and verifies it. The last line names the file.
 */
const directory = join(stateDirectory, 'quickstart')
const stepsFile = join(directory, 'steps.json')

/** How many steps the last build had, as the guess for this one. */
async function readExpectedSteps(): Promise<number | undefined> {
  try {
    return (JSON.parse(await readFile(stepsFile, 'utf8')) as { steps: number }).steps
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Shows the events of a build until it ends. @throws Error with the reason when it does not succeed. */
async function follow(api: ApiClient, id: string): Promise<Build> {
  using bar = new ProgressBar(process.stderr, await readExpectedSteps())
  for await (const event of api.followBuild(id)) {
    if (event.type === 'progress') bar.show(event.progress)
  }
  const build = await api.getBuild(id)
  if (build.state !== 'succeeded') {
    const { title, detail, lastLines = [] } = build.failure ?? {}
    throw new Error(
      [`The build ended as ${build.state}. ${title ?? ''}: ${detail ?? ''}`, ...lastLines].join('\n'),
    )
  }
  await writeFile(stepsFile, `${JSON.stringify({ steps: bar.steps })}\n`)
  return build
}

async function fetchArtifact(api: ApiClient, artifact: Artifact): Promise<{ file: string; sha256: string }> {
  const { url } = await api.createDownloadUrl(artifact)
  const file = join(directory, artifact.name)
  const sha256 = await download(url, file)
  const told = await api.getChecksum(artifact)
  if (sha256 !== told) throw new Error(`${file} has the SHA-256 ${sha256}, and the API says ${told}.`)
  return { file, sha256 }
}

/** Downloads the ISO and compares it with the checksum of the API and with the one beside it. */
async function fetchIso(api: ApiClient, { artifacts }: Build): Promise<{ file: string; sha256: string }> {
  const iso = artifacts.find(({ name }) => name.endsWith('.iso'))
  if (iso === undefined)
    throw new Error(`The build has no ISO among ${artifacts.map(({ name }) => name).join(', ')}.`)
  const { file, sha256 } = await fetchArtifact(api, iso)
  const checksum = artifacts.find(({ name }) => name === `${iso.name}.sha256`)
  if (checksum !== undefined) {
    const sums = await fetchArtifact(api, checksum)
    const [written = ''] = (await readFile(sums.file, 'utf8')).trim().split(/\s+/)
    if (written !== sha256) {
      throw new Error(`${file} has the SHA-256 ${sha256}, and ${checksum.name} says ${written}.`)
    }
  }
  return { file, sha256 }
}

async function quickstart(): Promise<string> {
  await mkdir(directory, { recursive: true })
  const engine = await ensureEngine()
  const canvos = await phase('CanvOS', () => chooseCanvos(engine.DOCKER_HOST))
  say(`Building ${canvos.description}`)
  const interrupted = interruption().then((signal): never => {
    throw new Error(`Interrupted by ${signal}.`)
  })
  interrupted.catch(() => undefined)
  await using standalone = await phase('Start', () =>
    startServiceProcess({
      service: 'standalone',
      awaited: 'gateway',
      logFile: join(directory, 'standalone.log'),
      env: {
        ...engine,
        ...canvos.env,
        EDGESMITH_DATA_DIRECTORY: join(directory, 'data'),
        GATEWAY_PORT: '0',
        VALIDATION_PORT: '0',
        BUILDER_PORT: '0',
        ARTIFACT_PORT: '0',
        // A fixed name, so that the next quickstart finds the cache of this one.
        BUILDER_ID: 'quickstart',
      },
    }),
  )
  const key = await readFile(join(directory, 'data', 'api-key'), 'utf8')
  const api = new ApiClient(standalone.url, key.trim())
  const work = async () => {
    const { id, canvos: release } = await api.createBuild(await exampleForm(join(directory, 'inputs')))
    say(`Build ${id} of CanvOS ${release.tag}`)
    const build = await phase('Build', () => follow(api, id))
    return phase('Download', () => fetchIso(api, build))
  }
  const { file, sha256 } = await Promise.race([work(), standalone.lost, interrupted])
  return `quickstart: ok ${file} sha256:${sha256}`
}

await runCommandLine('quickstart', async () => {
  const result = await phase('All', quickstart)
  console.log(result)
})
