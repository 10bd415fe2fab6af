import { join } from 'node:path'
import { lintFromString, loadConfig } from '@redocly/openapi-core'
import { findOmissions, type OpenApiDocument } from './omissions.ts'

const configFile = join(import.meta.dirname, 'redocly.yaml')

/**
 * Every fault of an OpenAPI document, warnings included: what Redocly finds by the rules of
 * `redocly.yaml`, and what an operation lacks that ours all have.
 */
export async function lintDocumentText(text: string): Promise<string[]> {
  const config = await loadConfig({ configPath: configFile })
  const problems = await lintFromString({
    source: text,
    absoluteRef: join(import.meta.dirname, 'openapi.json'),
    config,
  })
  return [
    ...problems.map(({ ruleId, message, location }) => {
      const pointer = location[0]?.pointer ?? '#/'
      return `${pointer}: ${message} (${ruleId})`
    }),
    ...findOmissions(JSON.parse(text) as OpenApiDocument),
  ]
}
