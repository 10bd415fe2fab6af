import { Composer, Document, isScalar, visit, type LineCounter } from 'yaml'
import { tokenize } from './tokens.ts'

/** What is wrong with a text, and where. */
export type YamlFault = { readonly message: string; readonly offset: number }

/**
 * Reads the first document of a YAML text (1.2, core schema), in a time that grows with its length alone. The
 * library's own `parseDocument` compares each key of a mapping with all others, and knows no limits: a kilobyte can
 * hold it up for minutes. The document of a text with faults is not to be used.
 */
export function readYaml(
  text: string,
  lineCounter?: LineCounter,
): { document: Document.Parsed | Document; faults: YamlFault[] } {
  const { tokens, excess } = tokenize(text, lineCounter)
  if (excess !== undefined) return { document: new Document(), faults: [excess] }
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false })
  const [document = new Document(), ...others] = composer.compose(tokens, true, text.length)
  const faults = document.errors.map(({ message, pos }) => ({ message, offset: pos[0] }))
  for (const { range } of others) {
    faults.push({ message: 'A second document begins here. Send one.', offset: range[0] })
  }
  return { document, faults: [...faults, ...keyFaults(document)] }
}

/** Keys that are there twice, and those that no object of JavaScript can have. */
function keyFaults(document: Document.Parsed | Document): YamlFault[] {
  const faults: YamlFault[] = []
  visit(document, {
    Map: (_key, { items }) => {
      const seen = new Set<string>()
      for (const { key } of items) {
        const offset = offsetOf(key)
        if (!isScalar(key)) {
          faults.push({ message: 'A key has to be text, and no collection or alias.', offset })
          continue
        }
        const name = `${typeof key.value} ${String(key.value)}`
        if (seen.has(name) && key.value !== '<<') {
          faults.push({ message: 'Map keys must be unique.', offset })
        }
        seen.add(name)
      }
    },
  })
  return faults
}

function offsetOf(node: unknown): number {
  const { range } = (node ?? {}) as { range?: readonly number[] | null }
  return range?.[0] ?? 0
}
