import { join } from 'node:path'
import { lintFromString, loadConfig } from '@redocly/openapi-core'
import { findOmissions, type OpenApiDocument } from './omissions.ts'
import { findSlowPatterns } from './patterns.ts'

const configFile = join(import.meta.dirname, 'redocly.yaml')

/**
 * Every fault of an OpenAPI document, warnings included: what Redocly finds by the rules of
 * `redocly.yaml`, what an operation lacks that ours all have, and patterns that can take long.
 */
export async function lintDocumentText(text: string): Promise<string[]> {
  const config = await loadConfig({ configPath: configFile })
  const problems = await lintFromString({
    source: text,
    absoluteRef: join(import.meta.dirname, 'openapi.json'),
    config,
  })
  const document = JSON.parse(text) as OpenApiDocument
  return [
    ...problems.map(({ ruleId, message, location }) => {
      const pointer = location[0]?.pointer ?? '#/'
      return `${pointer}: ${message} (${ruleId})`
    }),
    ...findOmissions(document),
    ...findSlowPatterns(document),
  ]
}
