/**
 * Values of a `.arg` file, read by the rules that two programs share: bash, whose `source` CanvOS's
 * `earthly.sh` uses, and godotenv 1.5.1, by which Earthly and EarthBuild read the same file
 * (EarthBuild `cmd/earthly/subcmd/build_cmd.go`). Where the two differ, there is no reading but a fault.
 */

/** Something in a value that the two programs read differently, or that bash would run. */
export type ValueFault = {
  code: string
  message: string
  /** Index in the line, from 0. */
  at: number
}

export type ValueReading = { value: string } | { fault: ValueFault } | { unreadableReference: string }

/** The values of the keys before; `undefined` for a key whose own value could not be read. */
export type Variables = ReadonlyMap<string, string | undefined>

const quoteIt = 'Put the value in single quotes.'

/**
 * Reads the value that begins at `start` of a line and reaches to its end.
 *
 * @param exported Whether the line began with `export`: bash then expands braces.
 */
export function readValue(
  line: string,
  start: number,
  variables: Variables,
  exported: boolean,
): ValueReading {
  const first = line[start]
  if (/^[ \t]*$/.test(line.slice(start))) return { value: '' }
  if (first === ' ' || first === '\t') {
    return fault(
      'space-around-equals',
      start,
      'There is white space after the “=”: bash would run what follows as a command. Remove it.',
    )
  }
  if (first === "'") return readSingleQuoted(line, start)
  if (first === '"') return readDoubleQuoted(line, start, variables)
  return readBare(line, start, variables, exported)
}

function fault(code: string, at: number, message: string): { fault: ValueFault } {
  return { fault: { code: `arg-file.${code}`, message, at } }
}

function readSingleQuoted(line: string, start: number): ValueReading {
  const end = line.indexOf("'", start + 1)
  if (end === -1) return unterminated(start)
  if (line[end - 1] === '\\') {
    return fault(
      'ambiguous',
      end - 1,
      "Earthly takes “\\'” for an escaped quote, bash does not. Leave the backslash before the closing quote out.",
    )
  }
  return (
    afterQuote(line, end) ?? controlCharacter(line, start + 1, end) ?? { value: line.slice(start + 1, end) }
  )
}

function unterminated(start: number): ValueReading {
  return fault(
    'unterminated-quote',
    start,
    'The quote is not closed on its line. Close it: a value has no line breaks.',
  )
}

/** What follows the closing quote: nothing, or white space and a comment. */
function afterQuote(line: string, end: number): ValueReading | undefined {
  if (/^[ \t]*$|^[ \t]+#/.test(line.slice(end + 1))) return undefined
  return fault(
    'text-after-quote',
    end + 1,
    'There is text after the closing quote. Put the whole value in one pair of quotes.',
  )
}

function controlCharacter(line: string, start: number, end: number): ValueReading | undefined {
  const index = line.slice(start, end).search(/[^\P{Cc}\t\u0080-\u009f]/u)
  return index === -1
    ? undefined
    : fault('control-character', start + index, 'The value holds a control character. Remove it.')
}

function readDoubleQuoted(line: string, start: number, variables: Variables): ValueReading {
  let value = ''
  let at = start + 1
  while (line[at] !== '"') {
    const character = line[at]
    if (character === undefined) return unterminated(start)
    if (character === '`') return substitution(at)
    if (character === '\\') {
      const escaped = line[at + 1]
      if (escaped === undefined) return unterminated(start)
      if (!'"\\$`'.includes(escaped)) {
        return fault(
          'escape',
          at,
          `Earthly and bash read “\\${escaped}” in double quotes differently. ${quoteIt}`,
        )
      }
      value += escaped
      at += 2
      continue
    }
    if (character === '$') {
      const reference = readReference(line, at, variables)
      if (!('value' in reference)) return reference
      value += reference.value
      at = reference.end
      continue
    }
    value += character
    at += 1
  }
  if (earthlyReading(line, start, variables, at) !== value) {
    return fault('ambiguous', start, `Earthly and bash read these escapes differently. ${quoteIt}`)
  }
  return afterQuote(line, at) ?? controlCharacter(line, start + 1, at) ?? { value }
}

function substitution(at: number): { fault: ValueFault } {
  return fault(
    'command-substitution',
    at,
    'bash would run this as a command. Write the value itself; for the characters as such, use single quotes.',
  )
}

/** What godotenv makes of a double-quoted value; undefined when it sees the closing quote elsewhere. */
function earthlyReading(
  line: string,
  start: number,
  variables: Variables,
  expectedEnd: number,
): string | undefined {
  let end = start + 1
  while (end < line.length && (line[end] !== '"' || line[end - 1] === '\\')) end += 1
  if (end !== expectedEnd) return undefined
  const inner = line
    .slice(start, end)
    .replace(/^"+/, '')
    .replace(/(?<!")"+$/, '')
  const unescaped = inner.replaceAll(/\\([^$])/g, '$1')
  return unescaped.replaceAll(/(\\?)\$\(?\{?([A-Z0-9_]*)\}?/g, (match, backslash: string, name: string) => {
    if (backslash !== '') return match.slice(1)
    return name === '' ? match : (variables.get(name) ?? '')
  })
}

/** Reads `$NAME` or `${NAME}` where `at` is the index of the dollar. */
function readReference(
  line: string,
  at: number,
  variables: Variables,
): { value: string; end: number } | Exclude<ValueReading, { value: string }> {
  const rest = line.slice(at)
  if (rest.startsWith('$(')) return substitution(at)
  const match = /^\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*)(?!\}))/.exec(rest)
  const name = match?.[1] ?? match?.[2]
  if (match === null || name === undefined || /[a-z]/.test(name)) {
    return fault(
      'reference',
      at,
      'Only $NAME and ${NAME}, in capitals, are read alike by Earthly and bash. For the character “$” as such, use single quotes.',
    )
  }
  if (!variables.has(name)) {
    return fault(
      'undefined-reference',
      at,
      `${name} is not set on a line above: bash would take it from its environment, Earthly would take it as empty. Set it above, or write the value itself.`,
    )
  }
  const value = variables.get(name)
  return value === undefined ? { unreadableReference: name } : { value, end: at + match[0].length }
}

function readBare(line: string, start: number, variables: Variables, exported: boolean): ValueReading {
  let value = ''
  let at = start
  for (let character = line[at]; character !== undefined; character = line[at]) {
    if (character === ' ' || character === '\t') return afterBare(line, at) ?? { value }
    if (character === '$') {
      const reference = readReference(line, at, variables)
      if (!('value' in reference)) return reference
      value += reference.value
      at = reference.end
      continue
    }
    const found = bareFault(character, at, at === start ? '=' : (line[at - 1] ?? ''), exported)
    if (found !== undefined) return found
    value += character
    at += 1
  }
  return { value }
}

/** What is wrong with a character outside of quotes. */
function bareFault(
  character: string,
  at: number,
  before: string,
  exported: boolean,
): ValueReading | undefined {
  if (character === '`') return substitution(at)
  if (';&|<>()'.includes(character)) {
    return fault('shell-syntax', at, `bash gives “${character}” a meaning of its own here. ${quoteIt}`)
  }
  if (character === '"' || character === "'") {
    return fault(
      'quote-inside-value',
      at,
      'bash would drop this quote, Earthly would keep it. Put the whole value in one pair of quotes.',
    )
  }
  if (character === '\\')
    return fault('escape', at, `bash would drop the backslash, Earthly would keep it. ${quoteIt}`)
  if (character === '~' && '=:'.includes(before)) {
    return fault('tilde', at, `bash would replace “~” by a home directory. ${quoteIt}`)
  }
  if (exported && '{}'.includes(character))
    return fault('brace', at, `bash would expand the braces. ${quoteIt}`)
  if (/\p{Cc}/u.test(character))
    return fault('control-character', at, 'The value holds a control character. Remove it.')
  if (/\s/.test(character))
    return fault(
      'unusual-space',
      at,
      `The value holds an unusual kind of space. Replace it, or keep it: ${quoteIt}`,
    )
  return undefined
}

/** What follows a bare value: white space, then nothing or one comment. */
function afterBare(line: string, at: number): ValueReading | undefined {
  const rest = line.slice(at)
  if (/^[ \t]*$/.test(rest)) return undefined
  const comment = /^[ \t]+#/.exec(rest)
  if (comment === null) {
    return fault(
      'unquoted-space',
      at,
      'bash ends the value at the space and would run what follows as a command. Put the whole value in quotes.',
    )
  }
  const second = rest.slice(comment[0].length).search(/[\s\u0085]#/u)
  if (second === -1) return undefined
  return fault(
    'ambiguous',
    at + comment[0].length + second + 1,
    `Earthly takes only what follows the last “ #” as the comment. Leave the second “#” out.`,
  )
}
