import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { generateDocument } from './document.ts'

/** Where the generated document is committed. */
export const documentFile = join(import.meta.dirname, 'openapi.json')

/** The text that `openapi.json` has to have: the same for the same routes and schemas. */
export async function generateDocumentText(): Promise<string> {
  const options = await resolveConfig(documentFile)
  return format(JSON.stringify(await generateDocument()), { ...options, parser: 'json' })
}
