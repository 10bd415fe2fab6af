/**
 * Keywords of our own within the JSON Schema; JSON Schema lets validators ignore keywords they do not know.
 */
export type Annotations = {
  /** How grave a fault in the shape of this part is; `error` where it is not said. */
  'x-severity'?: 'error' | 'warning'
  /** The field to use in place of a deprecated one. */
  'x-replacement'?: string
  /** What became of a deprecated field. */
  'x-deprecation'?: string
}

/** Faults below this part do not stop a build: neither Palette's validator nor its documentation is strict there. */
export const lenient = { 'x-severity': 'warning' } as const satisfies Annotations

/** Marks a field as deprecated, with the field to use in its place. */
export function deprecated(text: string, replacement?: string) {
  return {
    deprecated: true,
    'x-deprecation': text,
    ...(replacement === undefined ? {} : { 'x-replacement': replacement }),
  }
}
