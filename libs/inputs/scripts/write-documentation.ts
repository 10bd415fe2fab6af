import { writeFile } from 'node:fs/promises'
import { inputDocumentation } from '../src/input-documentation.ts'

await writeFile(new URL('../../../docs/inputs.md', import.meta.url), inputDocumentation())
