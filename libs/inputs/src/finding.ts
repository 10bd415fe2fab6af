import type { WorkspaceInput } from '@edgesmith/canvos/workspace'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { inputRules } from './input-rules.ts'
import type { InputRule } from './input-rules.ts'

/** A diagnostic about an input, with the severity and the documentation of its rule. */
export function finding(
  input: Pick<WorkspaceInput, 'role' | 'pointer' | 'fileName'>,
  code: InputRule,
  message: string,
  place: Pick<Diagnostic, 'line' | 'column'> = {},
): Diagnostic {
  return {
    severity: inputRules[code].severity,
    code,
    message,
    source: input.role,
    pointer: input.pointer,
    ...(input.fileName === undefined ? {} : { fileName: input.fileName }),
    ...place,
    documentation: `docs/inputs.md#${code.replace('.', '-')}`,
  }
}
