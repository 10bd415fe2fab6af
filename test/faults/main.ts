import { parseArgs } from 'node:util'
import { runCommandLine } from '../../deploy/setup/command-line.ts'
import { setUp } from '../support/set-up.ts'
import { runWithFault } from './fault-run.ts'
import { faults } from './faults.ts'
import { Ground } from './ground.ts'

/**
 * `npm run test:faults`: runs builds while something goes wrong, each time something else at another moment, and
 * asserts after each what has to hold. Writes a line of JSON for each run.
 *
 *   npm run test:faults -- [--runs N] [--seed N] [--fault NAME] [--parallel N] [--no-set-up]
 *
 * Run number i has the seed `--seed` + i; its fault is the next of the list, or the one that is named. With
 * `--parallel` that many stacks run at a time.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    fault: { type: 'string' },
    parallel: { type: 'string', default: '1' },
    'no-set-up': { type: 'boolean', default: false },
  },
})

await runCommandLine('test:faults', async () => {
  const chosen = faults.filter(({ name }) => values.fault === undefined || name === values.fault)
  if (chosen.length === 0) throw new Error(`The faults are: ${faults.map(({ name }) => name).join(', ')}`)
  if (!values['no-set-up']) Object.assign(process.env, await setUp())
  const runs = Number(values.runs)
  let begun = 0
  let failed = 0
  const work = async (): Promise<void> => {
    let ground = await Ground.open()
    try {
      for (let seed = Number(values.seed) + begun; begun < runs; seed = Number(values.seed) + begun) {
        begun += 1
        const fault = chosen[seed % chosen.length]
        if (fault === undefined) break
        try {
          console.log(JSON.stringify(await runWithFault(ground, fault, seed)))
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
  }
  await Promise.all(Array.from({ length: Number(values.parallel) }, work))
  console.log(`${runs - failed} runs held, ${failed} did not`)
  process.exitCode = failed > 0 ? 1 : 0
})
