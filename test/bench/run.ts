import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'

/** What a module of this directory exports to be a benchmark. */
type Benchmark = {
  /** Numbers that the command line may set, with what they are otherwise. */
  readonly options?: Readonly<Record<string, number>>
  /** Answers what was measured; where that is not as it has to be, it says so and sets the exit code. */
  run(options: Readonly<Record<string, number>>): Promise<Record<string, number>>
}

/**
 * `npm run bench -- NAME [--json] [--OPTION NUMBER]...`: runs `test/bench/NAME.ts`; the last line is its numbers.
 */
const names = globSync('*.ts', { cwd: import.meta.dirname })
  .map((file) => basename(file, '.ts'))
  .filter((name) => name !== 'run')
  .sort()
const [name] = process.argv.slice(2)
if (name === undefined || !names.includes(name)) {
  const fault = name === undefined ? 'Name a benchmark' : `There is no benchmark ${name}`
  process.stderr.write(`${fault}. There are: ${names.length === 0 ? 'none yet' : names.join(', ')}\n`)
  process.exit(2)
}
const benchmark = (await import(`./${name}.ts`)) as Benchmark
const defaults = Object.entries(benchmark.options ?? {})
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: 'boolean', default: false },
    ...Object.fromEntries(
      defaults.map(([option, value]) => [option, { type: 'string' as const, default: String(value) }]),
    ),
  },
})
const given: Readonly<Record<string, unknown>> = values
const numbers = await benchmark.run(
  Object.fromEntries(defaults.map(([option]) => [option, Number(given[option])])),
)
if (values.json) console.log(JSON.stringify(numbers))
else console.table(numbers)
