import { tokenize } from '@edgesmith/yaml/tokens'
import { Composer, isMap, isScalar, isSeq, type Node } from 'yaml'
import { isSecretName } from './secret-name.ts'

/** Characters of a text, and of one of its lines, that are looked at. */
const textLimit = 2 * 1024 * 1024
const lineLimit = 64 * 1024

/** The beginning of `name: value` and `name=value`, quoted or not, anywhere in a line. */
const assignment = /(?<name>[A-Za-z][A-Za-z0-9_.-]{0,127})["']?[ \t]{0,16}[:=][ \t]{0,16}/g

/** The beginning of `--password value`. */
const option = /--?(?<name>[A-Za-z][A-Za-z0-9-]{0,63})[ \t]{1,16}/g

/** A value without quotes, up to what ends a word in YAML, JSON, a shell and a URL's query. */
const bareValue = /[^\s"',;&#{}[\]][^\s"',;&]{0,8191}/y

/** `https://user:password@host`, and the same without the scheme, which an image with a digest looks like. */
const userInfo = /:\/\/[^\s/:@"'?#]{0,256}:(?<password>[^\s/@"'?#]{1,512})@/g
const bareUserInfo = /\b[A-Za-z0-9._-]{1,64}:(?<password>[^\s/:@"'?#,]{4,512})@(?!sha\d)[A-Za-z0-9]/g

/** `Authorization: Basic …`, `Bearer …`. */
const authorization =
  /\b(?:authorization["']?[ \t]{0,16}[:=][ \t]{0,16}["']?(?:basic|token|apikey)|bearer)[ \t]{1,16}(?<value>[A-Za-z0-9._~+/=-]{4,8192})/gi

const beginPrivateKey = /-----BEGIN (?<kind>[A-Z0-9 ]{0,32}PRIVATE KEY)-----/g

/** Values that say nothing, whatever they are called. */
const plainValue =
  /^(true|false|yes|no|on|off|null|none|~|basic|bearer|token|\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\{\{[^}]*\}\}|[|>][+-]?)$/i

/** The secrets of a text in any language, by what they look like and what they are called. */
export function findInText(text: string): Set<string> {
  const looked = text.slice(0, textLimit)
  const found = new Set<string>()
  const add = (value: string | undefined) => {
    if (value !== undefined && value !== '' && !plainValue.test(value)) found.add(value)
  }
  for (const line of looked.split('\n')) {
    const start = line.slice(0, lineLimit)
    for (const pattern of [assignment, option]) {
      for (const match of start.matchAll(pattern)) {
        if (isSecretName(match.groups?.['name'] ?? '')) add(valueAt(start, match.index + match[0].length))
      }
    }
  }
  for (const { groups } of looked.matchAll(authorization)) add(groups?.['value'])
  for (const password of passwordsOfUrls(looked)) add(password)
  for (const { groups } of looked.matchAll(bareUserInfo)) add(groups?.['password'])
  for (const key of privateKeysOf(looked)) add(key)
  return found
}

/** The value that begins at an index: what is between quotes, or a word. */
function valueAt(line: string, index: number): string | undefined {
  const quote = line[index] ?? ''
  if (quote === '"' || quote === "'") {
    const end = line.indexOf(quote, index + 1)
    return end === -1 ? undefined : line.slice(index + 1, end)
  }
  bareValue.lastIndex = index
  return bareValue.exec(line)?.[0]
}

/** Passwords of the URLs in a text, as they are written and as they are meant. */
export function passwordsOfUrls(text: string): Set<string> {
  const found = new Set<string>()
  for (const { groups } of text.matchAll(userInfo)) {
    const password = groups?.['password'] ?? ''
    found.add(password).add(decoded(password))
  }
  return found
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The private keys of a text that holds PEM, each with its frame. */
export function privateKeysOf(text: string): Set<string> {
  const found = new Set<string>()
  let behind = 0
  for (const match of text.matchAll(beginPrivateKey)) {
    if (match.index < behind) continue
    const frame = `-----END ${match.groups?.['kind'] ?? ''}-----`
    const end = text.indexOf(frame, match.index)
    if (end === -1) break
    behind = end + frame.length
    found.add(text.slice(match.index, behind))
  }
  return found
}

/**
 * The secrets of a YAML or JSON text: those of `findInText`, and the values of fields that are called like
 * secrets, however they are written.
 */
export function findInDocument(text: string): Set<string> {
  const found = findInText(text)
  if (text.length <= textLimit) for (const node of documentsOf(text)) collect(node, false, found)
  return found
}

/** The values of fields that are called like secrets, in a document that was read. */
export function findInValue(value: unknown): Set<string> {
  const found = new Set<string>()
  const seen = new Set<object>()
  const look = (item: unknown, isSecret: boolean) => {
    if (typeof item === 'object' && item !== null) {
      // Anchors of YAML are the same object wherever they are referred to.
      if (seen.has(item)) return
      seen.add(item)
      for (const [name, member] of Object.entries(item)) {
        look(member, Array.isArray(item) ? isSecret : isSecretName(name))
      }
    } else if (typeof item === 'string' || typeof item === 'number') addValue(String(item), isSecret, found)
  }
  look(value, false)
  return found
}

/** What can be read of the documents: whoever judges them tells their faults. */
function documentsOf(text: string): (Node | null)[] {
  const { tokens } = tokenize(text)
  const composer = new Composer({ prettyErrors: false, strict: false, logLevel: 'silent', uniqueKeys: false })
  return [...composer.compose(tokens, true, text.length)].map(({ contents }) => contents)
}

/** Aliases are not followed: what they stand for is in the document by itself. */
function collect(node: unknown, isSecret: boolean, found: Set<string>): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      collect(value, isScalar(key) && isSecretName(String(key.value)), found)
    }
  } else if (isSeq(node)) {
    for (const item of node.items) collect(item, isSecret, found)
  } else if (isScalar(node)) {
    const text = typeof node.value === 'number' ? (node.source ?? String(node.value)) : node.value
    if (typeof text === 'string') addValue(text, isSecret, found)
  }
}

function addValue(text: string, isSecret: boolean, found: Set<string>): void {
  if (isSecret && text !== '' && !plainValue.test(text)) found.add(text)
  for (const key of privateKeysOf(text)) found.add(key)
}
