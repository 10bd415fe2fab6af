import { parseArgs } from 'node:util'
import { runCommandLine } from '../deploy/setup/command-line.ts'
import { formatTally } from './support/tally.ts'
import { findTestGroups } from './support/test-files.ts'
import { runGroups } from './support/run-files.ts'
import { setUp } from './support/set-up.ts'

/**
 * `npm test`: sets up what the tests need, runs them and closes with `N passed, N failed, N skipped`.
 *
 *   npm test -- [--only GLOB]... [--no-set-up]
 */
const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    'no-set-up': { type: 'boolean', default: false },
  },
})
await runCommandLine('test', async () => {
  const groups = findTestGroups(values.only)
  if (groups.every(({ files }) => files.length === 0)) {
    throw new Error(
      `No test file matches ${values.only.join(', ')}. Globs are relative to the repository's root.`,
    )
  }
  if (!values['no-set-up']) Object.assign(process.env, await setUp())

  const tally = await runGroups(groups)
  console.log(formatTally(tally))
  process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0
})
