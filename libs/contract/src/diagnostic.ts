import { Type, type Static } from 'typebox'

/** What a diagnostic can speak of; `spec` is the build spec or another body, `request` the rest of the request. */
export const DiagnosticSource = Type.Enum(
  [
    'spec',
    'userData',
    'argFile',
    'arguments',
    'contentBundle',
    'contentBundleSignature',
    'clusterDefinition',
    'clusterDefinitionSignature',
    'publicKey',
    'edgeCustomConfig',
    'cert',
    'localUi',
    'secureBoot',
    'overlay',
    'template',
    'sites',
    'canvos',
    'request',
  ],
  { description: 'Which input the diagnostic speaks of.' },
)

/**
 * One finding about an input. The same shape is answered by `POST /v1/validations`, carried in
 * the `errors` of a problem, and kept in a build's record.
 */
export const Diagnostic = Type.Object(
  {
    severity: Type.Enum(['error', 'warning', 'info'], {
      description: 'An `error` stops the build; a `warning` and an `info` do not.',
    }),
    code: Type.String({
      pattern: '^[a-z0-9]+(-[a-z0-9]+)*(\\.[a-z0-9]+(-[a-z0-9]+)*)*$',
      description: 'Stable, machine-readable name of the rule.',
      examples: ['arguments.unknown'],
    }),
    message: Type.String({ description: 'What is wrong and what to do about it.' }),
    source: DiagnosticSource,
    pointer: Type.Optional(
      Type.String({
        description: 'JSON Pointer (RFC 6901) to the value at fault, within the source.',
        examples: ['/stylus/site/edgeHostToken'],
      }),
    ),
    fileName: Type.Optional(
      Type.String({ description: 'Name of the file at fault, where a source has several.' }),
    ),
    line: Type.Optional(Type.Integer({ minimum: 1, description: 'Line in the source, from 1.' })),
    column: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Column in the line, in characters from 1.' }),
    ),
    documentation: Type.Optional(
      Type.String({
        format: 'uri-reference',
        description: 'Where the rule is explained.',
        examples: ['docs/arguments.md#iso_name'],
      }),
    ),
  },
  {
    title: 'Diagnostic',
    additionalProperties: false,
    description: 'One finding about an input.',
    examples: [
      {
        severity: 'error',
        code: 'arguments.unknown',
        message: 'ISO_NAM is not an argument of CanvOS v4.9.36. Did you mean ISO_NAME?',
        source: 'argFile',
        pointer: '/ISO_NAM',
        line: 4,
        column: 1,
      },
    ],
  },
)

export type Diagnostic = Static<typeof Diagnostic>
export type DiagnosticSource = Static<typeof DiagnosticSource>
export type Severity = Diagnostic['severity']

/** True when one of the diagnostics is an error, that is, when a build must not start. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === 'error')
}
