import { passwordsOfUrls } from '@edgesmith/redaction/find-secrets'
import { mask, Redactor } from '@edgesmith/redaction/redactor'
import { isSecretName } from '@edgesmith/redaction/secret-name'

/** Build arguments without what their values hold of credentials: the same for the same arguments. */
export function maskArguments(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (isSecretName(name) && value !== '') return [name, mask]
      return [name, new Redactor(passwordsOfUrls(value)).redact(value)]
    }),
  )
}
