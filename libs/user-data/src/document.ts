import { tokenize as tokensOf } from '@edgesmith/yaml/tokens'
import { Composer, type CST, type Document, type YAMLError } from 'yaml'
import type { TextFault } from './text.ts'
import { Tree } from './tree.ts'
import { yamlRules } from './yaml-rules.ts'

/**
 * Parses YAML 1.2 (core schema). The tree is undefined where the text is not well-formed, or goes
 * beyond a limit: then its structure cannot be trusted, and the faults say why.
 */
export function parseDocument(text: string): { tree: Tree | undefined; faults: TextFault[] } {
  const { tokens, faults } = tokenize(text)
  if (faults.length > 0) return { tree: undefined, faults }
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false, resolveKnownTags: false })
  const documents: Document.Parsed[] = [...composer.compose(tokens, true, text.length)]
  for (const document of documents) {
    faults.push(...oneByLine(text, document.errors.map(syntaxFault)))
    faults.push(...document.warnings.map(({ pos, message }) => warningFault(pos[0], message)))
  }
  const [first, ...others] = documents
  if (first === undefined || faults.some(({ rule }) => rule.severity === 'error')) {
    return { tree: undefined, faults }
  }
  for (const other of others) faults.push(extraDocument(other))
  const tree = new Tree(first.contents)
  faults.push(...tree.faults)
  return { tree, faults }
}

/** The tokens of the text; the fault of a limit says what of it cannot be read. */
function tokenize(text: string): { tokens: CST.Token[]; faults: TextFault[] } {
  const { tokens, excess } = tokensOf(text)
  if (excess === undefined) return { tokens, faults: [] }
  const { limit, ...fault } = excess
  return { tokens, faults: [{ rule: yamlRules[limit === 'depth' ? 'tooDeep' : 'tooComplex'], ...fault }] }
}

const hints: Partial<Record<YAMLError['code'], string>> = {
  BAD_INDENT: 'Align it with its siblings.',
  BAD_SCALAR_START: 'Put the value in quotes.',
  BAD_ALIAS: 'Put the value in quotes if the asterisk is meant as text.',
  BLOCK_AS_IMPLICIT_KEY: 'Put a value that holds a colon in quotes, or begin it on a line of its own.',
  MULTILINE_IMPLICIT_KEY: 'Check the indentation, and that each key has its colon.',
  MISSING_CHAR: 'Check that quotes and brackets are closed and that each key has its colon.',
  UNEXPECTED_TOKEN: 'Check the indentation and the quotes before it.',
}

function syntaxFault({ code, pos, message }: YAMLError): TextFault {
  if (code === 'TAB_AS_INDENT') {
    return {
      rule: yamlRules.tab,
      offset: pos[0],
      message: 'A tab is used as indentation. Indent with spaces.',
    }
  }
  const hint = hints[code]
  const text = `${message.replaceAll(/\s+/g, ' ').replace(/[.:]? ?$/, '.')}${hint === undefined ? '' : ` ${hint}`}`
  return { rule: yamlRules.syntax, offset: pos[0], message: text }
}

/** One slip makes several errors: the first of a line is kept, a tab before others. */
function oneByLine(text: string, faults: TextFault[]): TextFault[] {
  const byLine = new Map<number, TextFault>()
  for (const fault of faults) {
    const line = text.lastIndexOf('\n', Math.max(0, (fault.offset ?? 0) - 1))
    if (!byLine.has(line) || fault.rule === yamlRules.tab) byLine.set(line, fault)
  }
  return [...byLine.values()]
}

function warningFault(offset: number, message: string): TextFault {
  const text = `${message.replaceAll(/\s+/g, ' ')}. Readers disagree on such tags: remove it.`
  return { rule: yamlRules.unknownTag, offset, message: text }
}

function extraDocument(document: Document.Parsed): TextFault {
  const message =
    'A second YAML document begins here; only the first is read. Join them, or remove the line `---`.'
  return { rule: yamlRules.multipleDocuments, offset: document.range[0], message }
}
