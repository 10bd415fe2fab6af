/** Names, or the ends of names, of what nobody else is to know. */
const secretNames =
  /(pass(word|wd|phrase)|(^|[-_.])pass|pwd|secrets?|tokens?|credentials?|api[-_.]?keys?|(private|access|secret|signing|encryption|pro|auth)[-_.]?keys?|authorization|^key)$/i

/** Whether a field, a variable or a header of this name has a value that is to be masked. */
export function isSecretName(name: string): boolean {
  return secretNames.test(name)
}
