import { parseArgs } from 'node:util'
import { runCommandLine } from '../../deploy/setup/command-line.ts'
import { formatDuration, say } from '../../deploy/setup/progress.ts'
import { setUp } from '../support/set-up.ts'
import { fuzz } from './fuzz.ts'

/**
 * `npm run test:fuzz`: Schemathesis asks the stack, with requests that fit the description of the API and requests
 * that do not, one by one and in sequences, until so many have been answered.
 *
 *   npm run test:fuzz -- [--requests N] [--seed N] [--no-set-up]
 *
 * The rounds have the seeds `--seed`, `--seed` + 1 and so on.
 */
const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    'no-set-up': { type: 'boolean', default: false },
  },
})

await runCommandLine('test:fuzz', async () => {
  if (!values['no-set-up']) Object.assign(process.env, await setUp())
  const startedAt = performance.now()
  const { requests, failures, serverErrors } = await fuzz({
    requests: Number(values.requests),
    seed: Number(values.seed),
    maxExamples: 40,
    tell: (line) => {
      console.log(line)
    },
  })
  say(`Asked for ${formatDuration(performance.now() - startedAt)}`)
  console.log(
    `${requests} requests, ${failures} failures, ${serverErrors} answers with a status of 500 or more`,
  )
  process.exitCode = failures > 0 || serverErrors > 0 ? 1 : 0
})
