import type { Diagnostic, Severity } from '@edgesmith/contract/diagnostic'
import { findInText, findInValue } from '@edgesmith/redaction/find-secrets'
import { Redactor } from '@edgesmith/redaction/redactor'
import { documentationOf, fieldRules } from './catalogue.ts'
import { readCertificates } from './certificates.ts'
import { parseDocument } from './document.ts'
import { LineIndex, type Position } from './line-index.ts'
import { isMapping, toPointer } from './path.ts'
import type { Finding, RuleDescription, Surroundings } from './rule.ts'
import { userDataSchema } from './schema/user-data.ts'
import { compareShape } from './shape.ts'
import { shapeRules } from './shape-rules.ts'
import { readText, type TextFault } from './text.ts'

/** What is known about the build besides the user-data; nothing of it is needed. */
export type ValidationContext = Partial<Omit<Surroundings, 'certificates'>>

/** How many diagnostics are answered at most, the gravest first. */
export const maxDiagnostics = 500

const gravity: Record<Severity, number> = { error: 0, warning: 1, info: 2 }

/**
 * Validates the user-data of an Edge installer: text, YAML, shape and rules between fields. Answers
 * every fault, in the order of the text; an error among them stops a build. Pure: neither reads nor
 * writes anything, and throws for no input.
 */
export function validateUserData(input: Uint8Array | string, context: ValidationContext = {}): Diagnostic[] {
  const { text, faults } = readText(input)
  if (text === undefined) return faults.map((fault) => toDiagnostic(textFault(fault)))
  const lines = new LineIndex(text)
  const { tree, faults: yamlFaults } = parseDocument(text)
  const found = [...faults, ...yamlFaults].map(textFault)
  if (tree !== undefined) found.push(...documentFaults(tree.value, context))
  const place = ({ offset, path, on }: Fault): Position | undefined => {
    if (offset !== undefined) return lines.position(offset)
    return tree === undefined || path === undefined ? undefined : lines.position(tree.offset(path, on))
  }
  const diagnostics = gravest(found)
    .map((fault) => toDiagnostic(fault, place(fault)))
    .toSorted((a, b) => compare(a.line, b.line) || compare(a.column, b.column))
  return withoutSecrets(diagnostics, text, tree?.value)
}

/** Messages quote values; those of tokens and passwords, wherever they are in the text, are not told. */
function withoutSecrets(diagnostics: Diagnostic[], text: string, document: unknown): Diagnostic[] {
  if (diagnostics.length === 0) return diagnostics
  const redactor = new Redactor([...findInText(text), ...findInValue(document)])
  return diagnostics.map((diagnostic) => ({ ...diagnostic, message: redactor.redact(diagnostic.message) }))
}

/** A fault that has not been placed in the text yet. */
type Fault = Partial<Finding> & {
  rule: RuleDescription
  severity: Severity
  offset?: number
  message: string
}

function textFault(fault: TextFault): Fault {
  return { ...fault, severity: fault.rule.severity }
}

function documentFaults(document: unknown, context: ValidationContext): Fault[] {
  if (document === undefined) return []
  if (!isMapping(document)) {
    const message =
      '(root): Invalid type. Expected: object. Write settings below keys such as stylus: and install:.'
    return [{ rule: shapeRules.type, severity: 'error', path: [], message }]
  }
  const surroundings: Surroundings = {
    embeddedPublicKey: context.embeddedPublicKey ?? false,
    trustedBoot: context.trustedBoot ?? false,
    twoNode: context.twoNode ?? false,
    now: context.now ?? new Date(),
    certificates: readCertificates(document),
  }
  const faults: Fault[] = compareShape(userDataSchema, document)
  for (const rule of fieldRules) {
    for (const finding of rule.check(document, surroundings)) {
      faults.push({ ...finding, rule, severity: rule.severity })
    }
  }
  return faults
}

function gravest(faults: Fault[]): Fault[] {
  if (faults.length <= maxDiagnostics) return faults
  return faults.toSorted((a, b) => gravity[a.severity] - gravity[b.severity]).slice(0, maxDiagnostics)
}

function compare(one: number | undefined, other: number | undefined): number {
  return (one ?? 0) - (other ?? 0)
}

function toDiagnostic({ rule, severity, path, message }: Fault, position?: Position): Diagnostic {
  return {
    severity,
    code: rule.code,
    message,
    source: 'userData',
    ...(path === undefined ? {} : { pointer: toPointer(path) }),
    ...position,
    documentation: documentationOf(rule.code),
  }
}
