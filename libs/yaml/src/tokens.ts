import { Lexer, Parser, type CST, type LineCounter } from 'yaml'

/** How many collections may stand within one another. The installer reference needs 8. */
export const maxDepth = 64

/** How many lexical tokens a text may have: a fleet of 10,000 sites with two values each has 400,000. */
export const maxTokens = 500_000

/** A limit that a text goes beyond, and where. */
export type Excess = { readonly limit: 'depth' | 'tokens'; readonly offset: number; readonly message: string }

/**
 * The tokens of a YAML text, up to the limits. Lexer and parser run step by step, so that neither depth nor size can
 * exhaust the process: what they make of `? ? ? …` takes hours to be composed and read, a few hundred deep.
 */
export function tokenize(text: string, lineCounter?: LineCounter): { tokens: CST.Token[]; excess?: Excess } {
  const tokens: CST.Token[] = []
  const parser = new Parser(lineCounter?.addNewLine)
  lineCounter?.addNewLine(0)
  let count = 0
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token)
    count += 1
    if (count > maxTokens) {
      const message = `The file has more than ${maxTokens} YAML tokens. Move data that is not needed here elsewhere.`
      return { tokens, excess: { limit: 'tokens', offset: parser.offset, message } }
    }
    if (parser.stack.length > maxDepth && collections(parser.stack) > maxDepth) {
      const message = `Collections are nested more than ${maxDepth} deep here. Close the brackets, or flatten the structure.`
      return { tokens, excess: { limit: 'depth', offset: parser.offset, message } }
    }
  }
  for (const token of parser.end()) tokens.push(token)
  return { tokens }
}

function collections(stack: readonly CST.Token[]): number {
  return stack.filter(
    ({ type }) => type === 'block-map' || type === 'block-seq' || type === 'flow-collection',
  ).length
}
