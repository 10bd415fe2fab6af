import { readFileSync } from 'node:fs'
import type { Diagnostic, Severity } from '@edgesmith/contract/diagnostic'
import type { ValidationContext } from '@edgesmith/user-data/validate'

/** What a diagnostic must say: severity, rule (its code without `user-data.`), line, pointer. */
export type Expected = readonly [severity: Severity, rule: string, line?: number, pointer?: string]

/** One row of a table: a text and every diagnostic it must have, in order, and no other. */
export type Case = {
  name: string
  text: Uint8Array | string
  context?: ValidationContext
  expected: readonly Expected[]
}

/** A case whose text follows the header: the body's first line is line 2. */
export function cloudConfig(
  name: string,
  body: string,
  expected: readonly Expected[] = [],
  context: ValidationContext = {},
): Case {
  return { name, text: `#cloud-config\n${body.replace(/^\n/, '')}`, expected, context }
}

/** The same for the fields of a locally managed host, which needs no registration; they begin on line 4. */
export function local(name: string, stylus: string, expected: readonly Expected[] = []): Case {
  return cloudConfig(name, `stylus:\n  managementMode: local\n${stylus.replace(/^\n/, '')}`, expected)
}

/** The part of a diagnostic that a table speaks of. */
export function summary(diagnostic: Diagnostic): Expected {
  const { severity, code, line, pointer } = diagnostic
  const rule = code.replace('user-data.', '')
  if (pointer !== undefined) return [severity, rule, line, pointer]
  return line === undefined ? [severity, rule] : [severity, rule, line]
}

/** The instant that all tables are judged at; the certificates of the fixtures are valid then. */
export const now = new Date('2030-01-01T00:00:00Z')

/** A certificate of the fixtures as lines of a block scalar, indented. */
export function certificate(name: 'authority' | 'leaf', indent: number): string {
  const pem = readFileSync(new URL(`../fixtures/${name}.pem`, import.meta.url), 'utf8')
  return pem
    .trimEnd()
    .split('\n')
    .map((line) => ' '.repeat(indent) + line)
    .join('\n')
}
