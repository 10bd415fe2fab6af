import { writeFile } from 'node:fs/promises'
import { argumentDocumentation } from '../src/argument-documentation.ts'

await writeFile(new URL('../../../docs/arguments.md', import.meta.url), argumentDocumentation())
