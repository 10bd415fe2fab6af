import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { runCommandLine } from '../setup/command-line.ts'
import { repositoryDirectory } from '../setup/paths.ts'
import { askForAdvisories, Explanation, NoAdvisories, overdue, unexplained } from './advisories.ts'
import { lockFileFaults } from './lock-file.ts'
import { makeServiceSbom, missingFromSbom } from './service-sbom.ts'

/**
 * A part of `npm run check`: the lock file names every package by its digest, the SBOM made of it is whole, and
 * every advisory that the registry has about its packages is explained in `explained-advisories.json`. Where the
 * registry does not answer, that is told and is no fault, unless `--required` is given.
 */
const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: repositoryDirectory },
    explanations: { type: 'string', default: join(import.meta.dirname, 'explained-advisories.json') },
    registry: { type: 'string' },
    required: { type: 'boolean', default: false },
  },
})

await runCommandLine('supply chain', async () => {
  const { directory, required } = values
  const json: unknown = JSON.parse(await readFile(values.explanations, 'utf8'))
  const explanations = Value.Parse(Type.Array(Explanation), json)
  const faults = await lockFileFaults(directory)
  for (const name of await missingFromSbom(directory, await makeServiceSbom(directory))) {
    faults.push(`${name} is missing from the SBOM`)
  }
  faults.push(...overdue(explanations, new Date().toISOString().slice(0, 10)))
  try {
    faults.push(...unexplained(await askForAdvisories(directory, values.registry), explanations))
  } catch (error) {
    if (!(error instanceof NoAdvisories)) throw error
    if (required) faults.push(error.message)
    else console.log(`Advisories were not looked at. ${error.message}`)
  }
  for (const fault of faults) console.log(`✖ ${fault}`)
  if (faults.length > 0) process.exitCode = 1
})
