import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { repositoryDirectory } from './setup/paths.ts'
import { formatDuration } from './setup/progress.ts'

/**
 * `npm run check`: types, lint, format, the OpenAPI document, the tables of the documentation and the packages that the service is made
 * of. Runs all of them, tells every fault, and fails when there is one. Warnings are faults.
 */
const checks: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: 'types', command: ['node_modules/typescript/bin/tsc', '--project', '.', '--pretty', 'false'] },
  { name: 'lint', command: ['node_modules/eslint/bin/eslint.js', '--max-warnings', '0', '.'] },
  {
    name: 'format',
    command: ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
  },
  { name: 'openapi', command: ['openapi/check.ts'] },
  { name: 'documentation', command: ['docs/reference.ts', '--check'] },
  { name: 'supply chain', command: ['deploy/supply-chain/check.ts'] },
]

async function passes({ name, command }: (typeof checks)[number]): Promise<boolean> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, command, {
    cwd: repositoryDirectory,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const passed = child.exitCode === 0
  process.stdout.write(`${output}${errors}`)
  console.log(`${passed ? '✔' : '✖'} ${name} (${formatDuration(performance.now() - startedAt)})`)
  return passed
}

// Two at a time: the first two take longest, and there may be two cores only.
const results: boolean[] = []
const waiting = [...checks]
async function work(): Promise<void> {
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift())
    results.push(await passes(check))
}
await Promise.all([work(), work()])
process.exitCode = results.every(Boolean) ? 0 : 1
