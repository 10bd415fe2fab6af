import { withoutCredentials } from './credential-patterns.ts'
import { passwordsOfUrls } from './find-secrets.ts'
import { mask } from './redactor.ts'
import { isSecretName } from './secret-name.ts'

/** The value of a build argument as everybody may see it: the same, unless there is a credential in it. */
export function maskedArgument(name: string, value: string): string {
  if (value === '') return value
  return isSecretName(name) ? mask : withoutCredentials(value)
}

/** The secrets of a build argument. */
export function secretsOfArgument(name: string, value: string): Set<string> {
  const found = passwordsOfUrls(value)
  if (isSecretName(name)) found.add(value)
  return found
}
