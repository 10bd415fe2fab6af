import { parseArgs } from 'node:util'
import { runCommandLine } from '../../deploy/setup/command-line.ts'
import { setUp } from '../support/set-up.ts'
import { faults } from './faults.ts'
import { RenewedRunner } from './renewed-runner.ts'

/**
 * `npm run test:faults`: runs builds while something goes wrong, each time something else at another moment, and
 * asserts after each what has to hold. Writes a line of JSON for each run, and one for each fault at the end.
 *
 *   npm run test:faults -- [--runs N] [--seed N] [--fault NAME] [--parallel N] [--no-set-up]
 *
 * Run number i has the seed `--seed` + i; its fault is the next of the list, or the one that is named. With
 * `--parallel` that many stacks run at a time. The logs of the services of a run that does not hold are kept in
 * `.edgesmith/faults/<seed>`.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    fault: { type: 'string' },
    parallel: { type: 'string', default: '2' },
    'no-set-up': { type: 'boolean', default: false },
  },
})

/** What became of the runs with one fault. */
type Tally = { held: number; readonly failed: number[]; seconds: number }

await runCommandLine('test:faults', async () => {
  const chosen = faults.filter(({ name }) => values.fault === undefined || name === values.fault)
  if (chosen.length === 0) throw new Error(`The faults are: ${faults.map(({ name }) => name).join(', ')}`)
  if (!values['no-set-up']) Object.assign(process.env, await setUp())
  const runs = Number(values.runs)
  const started = performance.now()
  const tallies = new Map<string, Tally>()
  let begun = 0
  const work = async (): Promise<void> => {
    await using runner = new RenewedRunner()
    for (let seed = Number(values.seed) + begun; begun < runs; seed = Number(values.seed) + begun) {
      begun += 1
      const fault = chosen[seed % chosen.length]
      if (fault === undefined) break
      const tally = tallies.get(fault.name) ?? { held: 0, failed: [], seconds: 0 }
      tallies.set(fault.name, tally)
      try {
        const outcome = await runner.run(fault, seed)
        tally.held += 1
        tally.seconds += outcome.seconds
        console.log(JSON.stringify(outcome))
      } catch (error) {
        tally.failed.push(seed)
        console.log(JSON.stringify({ seed, fault: fault.name, error: String(error) }))
      }
    }
  }
  await Promise.all(Array.from({ length: Number(values.parallel) }, work))
  for (const { name } of chosen) {
    const { held, failed, seconds } = tallies.get(name) ?? { held: 0, failed: [], seconds: 0 }
    const mean = held === 0 ? undefined : Math.round((seconds / held) * 10) / 10
    console.log(JSON.stringify({ fault: name, held, failedSeeds: failed, secondsOfOne: mean }))
  }
  const failed = [...tallies.values()].reduce((sum, tally) => sum + tally.failed.length, 0)
  const minutes = ((performance.now() - started) / 60_000).toFixed(1)
  console.log(`${runs - failed} runs held, ${failed} did not, in ${minutes} minutes`)
  process.exitCode = failed > 0 ? 1 : 0
})
