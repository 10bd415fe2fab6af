import type { Mirror, ReleaseFile } from './mirror.ts'

/**
 * What CanvOS's Earthfile says about itself. Reads as much of the language (VERSION 0.6 to 0.8) as that
 * takes; the build alone decides whether the rest is right.
 */

/** An `ARG` that stands before the first target, where Earthly lets a build override it. */
export type DeclaredArgument = {
  name: string
  /** The default as it is written, quotes removed; may refer to other arguments. */
  default?: string
  /** True when the declaration stands in an `IF`, `FOR`, `WAIT` or `TRY` block. */
  conditional: boolean
  /** True for `ARG --global` (VERSION 0.7 and later); before 0.7 all of them are global. */
  global: boolean
}

/** An image that is built from (`FROM`), or a target, artifact or command that a statement names. */
export type EarthfileReference = { kind: 'image' | 'target'; expression: string }

/** What an Earthfile says about itself. */
export type Earthfile = {
  /** The arguments it declares before its first target, as `declaredArguments` lists them. */
  declared: readonly DeclaredArgument[]
  /** What its statements refer to: images, and what else they take from elsewhere. */
  references: readonly EarthfileReference[]
  /** Every default that an `ARG` or `LET` anywhere gives a name. */
  defaults: ReadonlyMap<string, readonly string[]>
  /** The names of its targets and user-defined commands, without `+`. */
  targets: ReadonlySet<string>
}

type Statement = { text: string; depth: number }

/** A target (`name:`) or a user-defined command, at the beginning of a line. */
const targetLine = /^([A-Za-z][A-Za-z0-9._-]*):[ \t]*(?:#.*)?$/

/** The logical lines of a text: continued lines joined, comment lines and blank ones left out. */
function logicalLines(text: string): string[] {
  const lines: string[] = []
  let pending = ''
  for (const line of text.split(/\r?\n/)) {
    if (/^[ \t]*#/.test(line)) continue
    const continued = /^(.*)\\[ \t]*$/.exec(line)
    if (continued !== null) {
      pending += `${continued[1] ?? ''} `
      continue
    }
    if ((pending + line).trim() !== '') lines.push(pending + line)
    pending = ''
  }
  return lines
}

/** The statements before the first target, each with the number of blocks around it. */
function baseStatements(text: string): Statement[] {
  const statements: Statement[] = []
  let depth = 0
  for (const line of logicalLines(text)) {
    if (targetLine.test(line)) break
    const text = line.trim()
    const keyword = /^[A-Z]+/.exec(text)?.[0] ?? ''
    if (keyword === 'END') depth -= 1
    statements.push({ text, depth })
    if (['IF', 'FOR', 'WAIT', 'TRY', 'WITH'].includes(keyword)) depth += 1
  }
  return statements
}

/**
 * The arguments that an Earthfile declares before its first target, in their order. An argument that is
 * declared several times, as in the branches of an `IF`, is listed with each of its defaults.
 */
export function declaredArguments(earthfile: string): DeclaredArgument[] {
  const declared: DeclaredArgument[] = []
  for (const { text, depth } of baseStatements(earthfile)) {
    const match = /^ARG((?:[ \t]+--[a-z-]+)*)[ \t]+([A-Za-z_][A-Za-z0-9_]*)[ \t]*(?:=(.*))?$/.exec(text)
    const name = match?.[2]
    if (match === null || name === undefined) continue
    const written = match[3]?.trimStart()
    declared.push({
      name,
      ...(written === undefined ? {} : { default: unquoted(written) }),
      conditional: depth > 0,
      global: /--global\b/.test(match[1] ?? ''),
    })
  }
  return declared
}

function unquoted(written: string): string {
  const quoted = /^(["'])(.*?)\1/.exec(written)
  return quoted?.[2] ?? written.replace(/(?<![ \t])[ \t]+#.*/s, '').trim()
}

/** `FROM`, `COPY`, `BUILD`, `DO` and `IMPORT` with their options, and what they name first. */
const referringStatement = /^(FROM|COPY|BUILD|DO|IMPORT)((?:[ \t]+--\S+)*)[ \t]+(\S.*)$/
const namingStatement = /^(?:ARG|LET|SET)(?:[ \t]+--[a-z-]+)*[ \t]+([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)$/

function referencesOf(lines: readonly string[]): EarthfileReference[] {
  return lines.flatMap((line): EarthfileReference[] => {
    const [, statement, , operands = ''] = referringStatement.exec(line.trim()) ?? []
    const words = operands.split(/[ \t]+/)
    if (statement === undefined || words[0] === 'DOCKERFILE') return []
    const named = statement === 'COPY' ? words.slice(0, -1) : words.slice(0, 1)
    return named.map((word) => {
      const expression = word.replace(/^\(|["')]/g, '')
      return { kind: statement === 'FROM' && !expression.includes('+') ? 'image' : 'target', expression }
    })
  })
}

function defaultsOf(lines: readonly string[]): Map<string, string[]> {
  const defaults = new Map<string, string[]>()
  for (const line of lines) {
    const [, name, written] = namingStatement.exec(line.trim()) ?? []
    if (name === undefined || written === undefined) continue
    defaults.set(name, [...(defaults.get(name) ?? []), unquoted(written.trimStart())])
  }
  return defaults
}

/** Reads an Earthfile; throws for none. */
export function parseEarthfile(text: string): Earthfile {
  const lines = logicalLines(text)
  const targets = lines.flatMap((line) => targetLine.exec(line)?.[1] ?? [])
  return {
    declared: declaredArguments(text),
    references: referencesOf(lines),
    defaults: defaultsOf(lines),
    targets: new Set(targets),
  }
}

const file: ReleaseFile<Earthfile> = { path: 'Earthfile', parse: parseEarthfile }

/** Reads the Earthfile of a tag; undefined when the tag isn't there, or has none. */
export async function readEarthfile(
  mirror: Pick<Mirror, 'readParsed'>,
  tag: string,
): Promise<Earthfile | undefined> {
  return mirror.readParsed(tag, file)
}
