/** Escapes of YAML's double-quoted style that are shorter than a code (YAML 1.2.2, 5.7). */
const short: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/**
 * What cannot stand in a double-quoted scalar as it is: the two characters with a meaning there, line
 * ends of any kind, and what YAML does not call printable (YAML 1.2.2, 5.1).
 */
const special = /["\\\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g

/** A text as a double-quoted YAML scalar, which is a string in every schema and version of YAML. */
export function doubleQuoted(text: string): string {
  return `"${text.replace(special, escape)}"`
}

function escape(character: string): string {
  const code = character.charCodeAt(0)
  return (
    short[character] ??
    (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`)
  )
}

/** Text that is the same wherever it stands within a line of a block scalar: printable, no space at its ends. */
const tamePattern =
  /^[\p{L}\p{M}\p{N}\p{P}\p{S}]([\p{L}\p{M}\p{N}\p{P}\p{S} ]*[\p{L}\p{M}\p{N}\p{P}\p{S}])?$/u

/** Whether a text can be inserted into a block scalar as it is. */
export function isTame(text: string): boolean {
  return tamePattern.test(text)
}
