import { readFile } from 'node:fs/promises'
import { documentFile, generateDocumentText } from './committed-document.ts'
import { lintDocumentText } from './lint.ts'

/** Fails when `openapi.json` is not what the code says now, or when it has faults, warnings included. */
const [committed, generated] = await Promise.all([readFile(documentFile, 'utf8'), generateDocumentText()])
const faults = await lintDocumentText(generated)
if (committed !== generated) {
  const lines = generated.split('\n')
  const line = committed.split('\n').findIndex((text, index) => text !== lines[index])
  faults.unshift(
    `openapi/openapi.json:${line + 1}: differs from what the routes and schemas say. Run: npm run openapi`,
  )
}
for (const fault of faults) process.stderr.write(`${fault}\n`)
if (faults.length > 0) {
  process.stderr.write(`openapi: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}\n`)
  process.exitCode = 1
}
