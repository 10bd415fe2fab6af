import type { Severity } from '@edgesmith/contract/diagnostic'
import type { Annotations } from './schema/annotations.ts'
import { isMapping, quoted, toDotted, type Path } from './path.ts'
import type { RuleDescription } from './rule.ts'
import { shapeRules } from './shape-rules.ts'
import { suggestField } from './suggestion.ts'
import { legacyBoolean } from './yaml-version.ts'

/** The part of JSON Schema that the schema of user-data is written in. */
export type JsonSchema = Annotations & {
  /** TypeBox's mark on every schema; not part of the JSON. */
  readonly '~kind'?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: JsonSchema | boolean
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly deprecated?: boolean
}

/** How many unknown fields are told of; each costs a search for the name that was meant. */
const maxUnknownFields = 1_000

/** One fault in the shape of a document. */
export type ShapeFault = {
  rule: RuleDescription
  severity: Severity
  path: Path
  on?: 'key' | 'value'
  message: string
}

/**
 * Compares a document with its schema and answers every difference. Type faults begin with the
 * words of Palette's own validator. Values that are not known (undefined) are left alone. Words that YAML 1.1 takes as booleans pass as booleans.
 */
export function compareShape(root: JsonSchema, document: unknown): ShapeFault[] {
  const faults: ShapeFault[] = []
  let unknownFields = 0
  compare(root, document, [], 'error')
  return faults

  function add(rule: RuleDescription, severity: Severity, path: Path, message: string, on?: 'key'): void {
    faults.push({ rule, severity, path, message, ...(on === undefined ? {} : { on }) })
  }

  function compare(schema: JsonSchema, value: unknown, path: Path, inherited: Severity): void {
    if (value === undefined) return
    const severity = schema['x-severity'] ?? inherited
    if (schema.anyOf !== undefined) {
      const fitting = schema.anyOf.find((option) => hasType(option, value))
      if (fitting === undefined) addTypeFault(schema.anyOf, value, path, severity)
      else compare(fitting, value, path, severity)
    } else if (!hasType(schema, value)) addTypeFault([schema], value, path, severity)
    else if (isMapping(value)) compareFields(schema, value, path, severity)
    else if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        if (schema.items !== undefined) compare(schema.items, item, [...path, index], severity)
      }
    } else compareScalar(schema, value, path, severity)
  }

  function compareFields(
    schema: JsonSchema,
    value: Record<string, unknown>,
    path: Path,
    severity: Severity,
  ): void {
    const { properties = {}, additionalProperties } = schema
    for (const [key, item] of Object.entries(value)) {
      const field = Object.hasOwn(properties, key) ? properties[key] : undefined
      const fieldPath = [...path, key]
      if (field?.deprecated === true) {
        const replacement = field['x-replacement']
        const advice = replacement === undefined ? 'Remove it.' : `Use ${replacement}.`
        const message = `${toDotted(fieldPath)} is deprecated: ${field['x-deprecation'] ?? ''} ${advice}`
        add(shapeRules.deprecated, 'warning', fieldPath, message, 'key')
      }
      if (field !== undefined) compare(field, item, fieldPath, severity)
      else if (typeof additionalProperties === 'object')
        compare(additionalProperties, item, fieldPath, severity)
      else if (
        additionalProperties !== true &&
        !isDotted(key, properties) &&
        schema.properties !== undefined
      ) {
        unknownFields += 1
        if (unknownFields > maxUnknownFields) continue
        const message = `${toDotted(fieldPath)} is not a known field and has no effect. ${suggestField(root, path, key)}`
        add(shapeRules.unknownField, 'warning', fieldPath, message, 'key')
      }
    }
  }

  function compareScalar(schema: JsonSchema, value: unknown, path: Path, severity: Severity): void {
    if (schema.enum !== undefined && !schema.enum.includes(value)) {
      const message = `${toDotted(path)} must be one of: ${schema.enum.join(', ')}. It is ${quoted(value, path)}.`
      add(shapeRules.value, severity, path, message)
    }
    if (
      schema.pattern !== undefined &&
      typeof value === 'string' &&
      !new RegExp(schema.pattern, 'u').test(value)
    ) {
      const message = `${toDotted(path)} has not the written form of its field: ${quoted(value, path)} does not match ${schema.pattern}.`
      add(shapeRules.format, severity, path, message)
    }
    if (typeof value !== 'number') return
    const { minimum = -Infinity, maximum = Infinity } = schema
    if (value < minimum || value > maximum) {
      const limits = maximum === Infinity ? `at least ${minimum}` : `between ${minimum} and ${maximum}`
      add(
        shapeRules.range,
        severity,
        path,
        `${toDotted(path)} must be ${limits}; it is ${quoted(value, path)}.`,
      )
    }
  }

  function addTypeFault(
    options: readonly JsonSchema[],
    value: unknown,
    path: Path,
    severity: Severity,
  ): void {
    const expected = options.map(typeOf).join(' or ')
    const given = typeName(value)
    const message = `${toDotted(path)}: Invalid type. Expected: ${expected}, given: ${given}. ${typeHint(expected, given)}`
    add(shapeRules.type, severity, path, message)
  }
}

/** Kairos takes `partitions.oem.size: 60` for nested mappings; only its first word is known here. */
function isDotted(key: string, properties: Readonly<Record<string, JsonSchema>>): boolean {
  const [first = '', ...rest] = key.split('.')
  return rest.length > 0 && Object.hasOwn(properties, first)
}

function typeOf(schema: JsonSchema): string {
  return schema.enum === undefined ? (schema.type ?? 'any') : 'string'
}

function hasType(schema: JsonSchema, value: unknown): boolean {
  const expected = typeOf(schema)
  if (expected === 'any') return true
  if (expected === 'boolean' && legacyBoolean(value) !== undefined) return true
  const given = typeName(value)
  return given === expected || (expected === 'number' && given === 'integer')
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function typeHint(expected: string, given: string): string {
  if (given === 'null') return 'Give it a value, or remove the line.'
  if (expected.startsWith('array')) return 'Write a list: each item on a line of its own, after `- `.'
  if (expected.startsWith('object')) return 'Write its fields below it, indented.'
  if (given === 'array' || given === 'object') return 'Write a single value; quote one that holds brackets.'
  if (expected.startsWith('string')) return 'Put the value in quotes.'
  return expected === 'boolean' ? 'Write true or false, without quotes.' : 'Write a number, without quotes.'
}
