import { parseArgs } from 'node:util'
import { runCommandLine } from '../../deploy/setup/command-line.ts'
import { setUp } from '../support/set-up.ts'
import { runWithFault, type Outcome } from './fault-run.ts'
import { faults } from './faults.ts'
import { Ground } from './ground.ts'

/**
 * `npm run test:faults`: runs builds while something goes wrong, each time something else at another moment, and
 * asserts after each what has to hold. Writes a line of JSON for each run.
 *
 *   npm run test:faults -- [--runs N] [--seed N] [--fault NAME] [--no-set-up]
 *
 * Run number i has the seed `--seed` + i; its fault is the next of the list, or the one that is named.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    fault: { type: 'string' },
    'no-set-up': { type: 'boolean', default: false },
  },
})

await runCommandLine('test:faults', async () => {
  const chosen = faults.filter(({ name }) => values.fault === undefined || name === values.fault)
  if (chosen.length === 0) throw new Error(`The faults are: ${faults.map(({ name }) => name).join(', ')}`)
  if (!values['no-set-up']) Object.assign(process.env, await setUp())
  let failed = 0
  let ground = await Ground.open()
  try {
    for (let run = 0; run < Number(values.runs); run += 1) {
      const seed = Number(values.seed) + run
      const fault = chosen[seed % chosen.length] ?? chosen[0]
      if (fault === undefined) break
      try {
        const outcome: Outcome = await runWithFault(ground, fault, seed)
        console.log(JSON.stringify(outcome))
      } catch (error) {
        failed += 1
        console.log(JSON.stringify({ seed, fault: fault.name, error: String(error) }))
        // What it has left is not the next one's.
        await ground[Symbol.asyncDispose]()
        ground = await Ground.open()
      }
    }
  } finally {
    await ground[Symbol.asyncDispose]()
  }
  console.log(`${Number(values.runs) - failed} runs held, ${failed} did not`)
  process.exitCode = failed > 0 ? 1 : 0
})
