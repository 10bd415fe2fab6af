import type { FastifySchema, FastifySchemaValidationError } from 'fastify'
import type { FastifyValidationResult, FastifyRouteSchemaDef } from 'fastify/types/schema.js'
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Diagnostic, DiagnosticSource } from '@edgesmith/contract/diagnostic'

const common = { allErrors: true, useDefaults: true, removeAdditional: false, strict: false } as const

/** Bodies are taken as they are: `"5"` is not a number. Parameters are text and are converted. */
const forBodies = new Ajv2020({ ...common, coerceTypes: false })
const forParameters = new Ajv2020({ ...common, coerceTypes: true })
for (const ajv of [forBodies, forParameters]) addFormats.default(ajv)

/** Compiles a route's schemas; every fault of a request is found, none is repaired. */
export function compileValidator({
  schema,
  httpPart,
}: FastifyRouteSchemaDef<FastifySchema>): FastifyValidationResult {
  const ajv = httpPart === 'body' ? forBodies : forParameters
  return ajv.compile(schema as object) as FastifyValidationResult
}

/** The faults of a value against a schema, as diagnostics about the build spec. */
export function schemaFaults(schema: object, value: unknown): Diagnostic[] {
  const validate = forBodies.compile(schema)
  return validate(value) ? [] : toDiagnostics(validate.errors ?? [], 'spec')
}

function escapePointer(segment: string): string {
  return segment.replaceAll('~', '~0').replaceAll('/', '~1')
}

function describe(error: FastifySchemaValidationError | ErrorObject): {
  pointer: string
  code: string
  message: string
} {
  const { keyword, params, instancePath } = error
  const at = instancePath === '' ? 'The document' : instancePath
  switch (keyword) {
    case 'additionalProperties': {
      const property = String(params['additionalProperty'])
      return {
        pointer: `${instancePath}/${escapePointer(property)}`,
        code: 'schema.unknown-field',
        message: `${JSON.stringify(property)} is not a known field here. Remove it or correct its name.`,
      }
    }
    case 'required': {
      const property = String(params['missingProperty'])
      return {
        pointer: `${instancePath}/${escapePointer(property)}`,
        code: 'schema.missing-field',
        message: `${JSON.stringify(property)} is required.`,
      }
    }
    case 'type':
      return {
        pointer: instancePath,
        code: 'schema.wrong-type',
        message: `${at} must be ${[params['type']].flat().join(' or ')}.`,
      }
    case 'enum':
      return {
        pointer: instancePath,
        code: 'schema.not-allowed',
        message: `${at} must be one of ${(params['allowedValues'] as unknown[]).map((value) => JSON.stringify(value)).join(', ')}.`,
      }
    case 'pattern':
      return {
        pointer: instancePath,
        code: 'schema.pattern',
        message: `${at} must match ${String(params['pattern'])}.`,
      }
    case 'propertyNames':
      return {
        pointer: `${instancePath}/${escapePointer(String(params['propertyName']))}`,
        code: 'schema.unknown-field',
        message: `${JSON.stringify(params['propertyName'])} is not a valid name here.`,
      }
    default:
      return {
        pointer: instancePath,
        code: `schema.${keyword.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
        message: `${at} ${error.message ?? 'is not valid'}.`,
      }
  }
}

/** Validation errors as diagnostics: a JSON Pointer, a stable code and what to do. */
export function toDiagnostics(
  errors: readonly (FastifySchemaValidationError | ErrorObject)[],
  source: DiagnosticSource,
): Diagnostic[] {
  // That none of several schemas fits is said better by the faults of each.
  const own = errors.filter((error) => !['anyOf', 'if'].includes(error.keyword))
  return (own.length > 0 ? own : errors).map((error) => ({ severity: 'error', source, ...describe(error) }))
}
