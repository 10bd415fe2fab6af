import { writeFile } from 'node:fs/promises'
import { documentFile, generateDocumentText } from './committed-document.ts'

/** `npm run openapi`: writes `openapi.json` from the routes of the services and the schemas of the contract. */
await writeFile(documentFile, await generateDocumentText())
process.stdout.write(`${documentFile}\n`)
