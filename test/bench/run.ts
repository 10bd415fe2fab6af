import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'

/** What a module of this directory exports to be a benchmark. */
type Benchmark = { run(): Promise<Record<string, number>> }

/** `npm run bench -- NAME [--json]`: runs `test/bench/NAME.ts`; the last line is its numbers. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
})
const names = globSync('*.ts', { cwd: import.meta.dirname })
  .map((file) => basename(file, '.ts'))
  .filter((name) => name !== 'run')
  .sort()
const [name] = positionals
if (name === undefined || !names.includes(name)) {
  const fault = name === undefined ? 'Name a benchmark' : `There is no benchmark ${name}`
  process.stderr.write(`${fault}. There are: ${names.length === 0 ? 'none yet' : names.join(', ')}\n`)
  process.exit(2)
}
const benchmark = (await import(`./${name}.ts`)) as Benchmark
const numbers = await benchmark.run()
if (values.json) console.log(JSON.stringify(numbers))
else console.table(numbers)
