import { mask } from '@edgesmith/redaction/redactor'
import { isSecretName } from '@edgesmith/redaction/secret-name'

/** `user:password@` and `token@` of the URLs in a text. */
const userInfo = /(:\/\/)[^\s/@"'?#]{1,512}@/g

/** Build arguments without what their values hold of credentials: the same for the same arguments. */
export function maskArguments(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      isSecretName(name) && value !== '' ? mask : value.replaceAll(userInfo, `$1${mask}@`),
    ]),
  )
}
