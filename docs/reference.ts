/**
 * Writes the parts of the documentation that are declared in the code: the table of environment
 * variables in README.md and the table of problems in docs/problems.md. `--check` only compares.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { artifactVariables } from '@edgesmith/artifact-service/config'
import { builderVariables } from '@edgesmith/builder-service/config'
import { problems, problemType } from '@edgesmith/contract/problem'
import { failures } from '@edgesmith/contract/build'
import { gatewayVariables } from '@edgesmith/gateway-service/config'
import type { Variable, Variables } from '@edgesmith/service/environment'
import { validationVariables } from '@edgesmith/validation-service/config'

const services: Record<string, Variables> = {
  gateway: gatewayVariables,
  validation: validationVariables,
  builder: builderVariables,
  artifact: artifactVariables,
}

function table(header: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

function showDefault({ default: value, optional }: Variable): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return `\`${value}\``
  return value === undefined && optional !== true ? 'required' : ''
}

function configurationTable(): string {
  const names = [...new Set(Object.values(services).flatMap((variables) => Object.keys(variables)))]
  const rows = names.map((name) => {
    const readers = Object.keys(services).filter((service) => name in (services[service] ?? {}))
    const variable = readers.map((service) => services[service]?.[name]).find((found) => found !== undefined)
    if (variable === undefined) throw new Error(`${name} is declared nowhere`)
    const shown = showDefault(variable)
    return [
      `\`${name}\``,
      readers.length === 4 ? 'all' : readers.join(', '),
      shown,
      `${variable.description} (${variable.form})`,
    ]
  })
  return table(['variable', 'read by', 'default', 'meaning'], rows)
}

function problemTable(): string {
  return table(
    ['`type`', 'status', 'title'],
    Object.entries(problems).map(([code, { status, title }]) => [
      `\`${problemType(code)}\``,
      String(status),
      title,
    ]),
  )
}

function failureTable(): string {
  return table(
    ['`type`', 'title'],
    Object.entries(failures).map(([code, title]) => [`\`${problemType(code)}\``, title]),
  )
}

const sections: [file: string, name: string, text: string][] = [
  ['README.md', 'configuration', configurationTable()],
  ['docs/problems.md', 'problems', problemTable()],
  ['docs/problems.md', 'failures', failureTable()],
]

const stale: string[] = []
for (const [file, name, text] of sections) {
  const path = new URL(`../${file}`, import.meta.url)
  const before = await readFile(path, 'utf8')
  const [start, end] = [`<!-- ${name}: made by npm run docs -->`, `<!-- /${name} -->`]
  const [from, to] = [before.indexOf(start), before.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${file} has no section ${name}`)
  const after = `${before.slice(0, from + start.length)}\n${text}\n${before.slice(to)}`
  if (after === before) continue
  stale.push(`${file}: ${name}`)
  if (!process.argv.includes('--check')) await writeFile(path, after)
}
if (stale.length > 0)
  console.log(`${process.argv.includes('--check') ? 'out of date' : 'written'}: ${stale.join(', ')}`)
if (process.argv.includes('--check') && stale.length > 0) process.exitCode = 1
