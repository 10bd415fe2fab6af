import { sources, type RuleDescription } from './rule.ts'

/** The rules about the shape of a document: what its schema says. */
export const shapeRules = {
  type: {
    code: 'user-data.type',
    severity: 'error',
    summary: 'A field has a value of its type; a field without a value is left out.',
    source: sources.validateUserData,
  },
  value: {
    code: 'user-data.value',
    severity: 'error',
    summary: 'A field with a list of allowed values has one of them.',
    source: sources.installerReference,
  },
  format: {
    code: 'user-data.format',
    severity: 'error',
    summary: 'A field with a written form follows it.',
    source: sources.installerReference,
  },
  range: {
    code: 'user-data.range',
    severity: 'error',
    summary: 'A number lies within the limits of its field.',
    source: sources.installerReference,
  },
  unknownField: {
    code: 'user-data.unknown-field',
    severity: 'warning',
    summary: 'Fields are known to the installer reference or to Kairos.',
    source: sources.installerReference,
  },
  deprecated: {
    code: 'user-data.deprecated',
    severity: 'warning',
    summary: 'Deprecated fields are replaced.',
    source: sources.releaseNotes,
  },
} as const satisfies Record<string, RuleDescription>
