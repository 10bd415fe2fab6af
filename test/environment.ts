import { runCommandLine } from '../deploy/setup/command-line.ts'
import { setUp } from './support/set-up.ts'

/** Prints the variables that the tests read as shell commands, once everything behind them is set up. */
await runCommandLine('test:environment', async () => {
  for (const [name, value] of Object.entries(await setUp())) {
    console.log(`export ${name}='${value.replaceAll("'", String.raw`'\''`)}'`)
  }
})
