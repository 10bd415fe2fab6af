import { BuildSpec } from '@edgesmith/contract/build-spec'
import { ProblemError } from '@edgesmith/contract/problem'
import { schemaFaults } from '@edgesmith/service/request-validation'
import { readYaml } from '@edgesmith/yaml/read-yaml'
import type { Static, TSchema } from 'typebox'
import { LineCounter } from 'yaml'

/** Most bytes a build spec may have. */
export const specLimitBytes = 1024 * 1024

/**
 * Parses a build spec written in JSON or YAML (1.2, of which JSON is a part).
 * @throws ProblemError `malformed-request` with line and column when it cannot be parsed.
 */
export function parseSpec(text: string): unknown {
  const lineCounter = new LineCounter()
  const { document, faults } = readYaml(text, lineCounter)
  if (faults.length > 0) {
    throw new ProblemError('malformed-request', 'The build spec is neither JSON nor YAML.', {
      errors: faults.map(({ message, offset }) => {
        const { line, col } = lineCounter.linePos(offset)
        return {
          severity: 'error',
          code: 'spec.syntax',
          message,
          source: 'spec',
          line,
          column: col,
        }
      }),
    })
  }
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw new ProblemError(
      'malformed-request',
      `The build spec cannot be read: ${(error as Error).message}`,
      { cause: error },
    )
  }
}

/**
 * The build spec in a parsed document.
 * @throws ProblemError `invalid-body` with every fault and the JSON Pointer to it.
 */
export function checkSpec(value: unknown): Static<typeof BuildSpec> {
  return checkDocument(BuildSpec, 'build spec', value)
}

/** The same for a document of another kind. */
export function checkDocument<Schema extends TSchema>(
  schema: Schema,
  name: string,
  value: unknown,
): Static<Schema> {
  // Of a request without a body there is none.
  const errors = schemaFaults(schema, value ?? null)
  if (errors.length > 0) {
    throw new ProblemError(
      'invalid-body',
      `The ${name} has ${errors.length === 1 ? 'a fault' : `${errors.length} faults`}.`,
      { errors },
    )
  }
  return value as Static<Schema>
}
