import type { Diagnostic } from '@edgesmith/contract/diagnostic'

type Place = Partial<Pick<Diagnostic, 'pointer' | 'line' | 'column'>>

/** An error of a fleet's template. */
export function templateFault(code: string, message: string, place: Place = {}): Diagnostic {
  return { severity: 'error', code: `template.${code}`, message, source: 'template', ...place }
}

/** An error of the table of sites. */
export function siteFault(code: string, message: string, place: Place = {}): Diagnostic {
  return { severity: 'error', code: `sites.${code}`, message, source: 'sites', ...place }
}
