/** The kinds of values that CanvOS's arguments take. */
export type ArgumentType =
  | { kind: 'boolean' }
  | { kind: 'choice'; values: readonly string[] }
  | { kind: 'pattern'; pattern: RegExp; expected: string }
  | { kind: 'url' }
  | { kind: 'text' }

export const boolean: ArgumentType = { kind: 'boolean' }
export const url: ArgumentType = { kind: 'url' }
export const text: ArgumentType = { kind: 'text' }

export function choice(...values: string[]): ArgumentType {
  return { kind: 'choice', values }
}

/** @param expected What the pattern asks for, to follow “expected”. */
export function pattern(pattern: RegExp, expected: string): ArgumentType {
  return { kind: 'pattern', pattern, expected }
}

const host = String.raw`[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?`
const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'

/** Names that CanvOS documents as lowercase alphanumeric with `-` and `_`. */
export const plainName = pattern(/^[a-z0-9][a-z0-9_-]{0,99}$/, 'lowercase letters, digits, “-” and “_”')

/** The registry and namespace that images are pushed to. */
export const registry = pattern(
  new RegExp(`^${host}(?:/${component})*$`),
  'a registry’s host name, with its port and namespace where it has them, without “https://”',
)

export const repository = pattern(
  new RegExp(`^${component}(?:/${component})*$`),
  'an image repository: lowercase letters and digits, separated by “.”, “_”, “-” or “/”',
)

/** A reference to a container image, with or without host, tag and digest. */
export const image = pattern(
  new RegExp(
    `^(?:${host}/)?${component}(?:/${component})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`,
  ),
  'an image reference such as “registry.example.com/team/image:tag”, without “https://”',
)

export const semanticVersion = pattern(/^\d+\.\d+\.\d+$/, 'a version “x.y.z”')

/** Why a value does not fit a type, as a sentence that says what to write; undefined when it fits. */
export function misfit(type: ArgumentType, value: string): string | undefined {
  switch (type.kind) {
    case 'boolean':
      return value === 'true' || value === 'false' ? undefined : 'Write “true” or “false”.'
    case 'choice':
      return type.values.includes(value) ? undefined : `Write one of ${type.values.join(', ')}.`
    case 'pattern':
      return type.pattern.test(value) ? undefined : `Expected ${type.expected}.`
    case 'url':
      return isWebUrl(value) ? undefined : 'Expected a URL that begins with http:// or https://.'
    case 'text':
      return undefined
  }
}

function isWebUrl(value: string): boolean {
  return /^https?:\/\/\S+$/.test(value) && URL.canParse(value)
}

/** The type in words, for the documentation. */
export function describeType(type: ArgumentType): string {
  switch (type.kind) {
    case 'boolean':
      return '`true`, `false`'
    case 'choice':
      return type.values.map((value) => `\`${value}\``).join(', ')
    case 'pattern':
      return type.expected
    case 'url':
      return 'URL, http or https'
    case 'text':
      return 'text'
  }
}
