import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { chooseCanvos } from './quickstart/canvos.ts'
import { runCommandLine } from './setup/command-line.ts'
import { ensureEngine } from './setup/engine.ts'
import { interruption } from './setup/interruption.ts'
import { stateDirectory } from './setup/paths.ts'
import { phase, say } from './setup/progress.ts'
import { writeStackRecord } from './stack/process-file.ts'
import { removeStack } from './stack/remove.ts'
import { startStack } from './stack/stack.ts'

/**
 * `npm run stack`: the four services as processes of their own on Redis, MinIO and Docker, until it is
 * interrupted; the line `stack: ready …` has their addresses and the file of the operator's API key. `npm run stack -- down` removes it all.
 *
 * Ports and limits are those of the services' environment variables (`GATEWAY_PORT`, …).
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { directory: { type: 'string', default: join(stateDirectory, 'stack') } },
})
const [command = 'up'] = positionals
const directory = resolve(values.directory)

async function up(): Promise<void> {
  const engine = await ensureEngine()
  const canvos = await phase('CanvOS', () => chooseCanvos(engine.DOCKER_HOST))
  say(`CanvOS: ${canvos.description}`)
  const interrupted = interruption()
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeStackRecord(directory, engine.DOCKER_HOST)
  await using stack = await phase('Start', () => startStack({ directory, env: { ...engine, ...canvos.env } }))
  const addresses = Object.entries(stack.urls).map(([name, url]) => `${name}=${url}`)
  console.log(`stack: ready ${addresses.join(' ')} api-key-file=${stack.apiKeyFile}`)
  await Promise.race([interrupted, stack.lost])
  say('Stopping')
}

await runCommandLine('stack', async () => {
  if (command === 'up') await up()
  else if (command === 'down') await removeStack(directory)
  else throw new Error(`${command} is not a command of npm run stack; it has: up (the default), down.`)
})
