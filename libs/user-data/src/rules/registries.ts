import { entriesAt, isMapping, itemsAt, textAt, valueAt, type Path } from '../path.ts'
import { sources, type FieldRule } from '../rule.ts'

const single = ['stylus', 'registryCredentials'] as const
const registries = ['stylus', 'externalRegistries', 'registries'] as const
const mappingRules = ['stylus', 'externalRegistries', 'registryMappingRules'] as const

/** The paths of all registries with credentials. */
export function registryPaths(document: unknown): Path[] {
  const several = itemsAt(document, registries).map(([index]) => [...registries, index])
  return [single, ...several].filter((path) => isMapping(valueAt(document, path)))
}

const bothKinds: FieldRule = {
  code: 'user-data.registries-twice',
  severity: 'error',
  summary: 'External registries are given by `registryCredentials` or by `externalRegistries`, not by both.',
  source: sources.installerReference,
  *check(document) {
    const both = [single, ['stylus', 'externalRegistries']].every((path) =>
      isMapping(valueAt(document, path)),
    )
    if (!both) return
    const message =
      'registryCredentials is for a single registry without mapping rules. Move it into externalRegistries.registries.'
    yield { path: single, on: 'key', message }
  },
}

const domain: FieldRule = {
  code: 'user-data.registry-domain',
  severity: 'error',
  summary: 'A registry has a domain: host, port and path, without a scheme.',
  source: sources.installerReference,
  *check(document) {
    for (const path of registryPaths(document)) {
      const value = textAt(document, [...path, 'domain'])
      if (value === undefined) {
        if (valueAt(document, [...path, 'domain']) === null) continue
        yield {
          path,
          on: 'key',
          message: 'The registry has no domain. Add one, such as registry.example.com/images.',
        }
      } else if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value) || /\s/.test(value)) {
        const message = `The domain of a registry has no scheme and no white space. Write it like registry.example.com/images, not ${JSON.stringify(value)}.`
        yield { path: [...path, 'domain'], message }
      }
    }
  },
}

const duplicateDomain: FieldRule = {
  code: 'user-data.registry-duplicate',
  severity: 'warning',
  summary: 'Each external registry is listed once.',
  source: sources.installerReference,
  *check(document) {
    const seen = new Set<string>()
    for (const [index] of itemsAt(document, registries)) {
      const path = [...registries, index, 'domain']
      const value = textAt(document, path)
      if (value === undefined) continue
      if (seen.has(value)) yield { path, message: `The registry ${value} is listed twice. Keep one of them.` }
      seen.add(value)
    }
  },
}

const credentials: FieldRule = {
  code: 'user-data.registry-credentials',
  severity: 'warning',
  summary: 'A registry has a user name and a password, or neither.',
  source: sources.installerReference,
  *check(document) {
    for (const path of registryPaths(document)) {
      const username = textAt(document, [...path, 'username'])
      const password = textAt(document, [...path, 'password'])
      if ((username === undefined) === (password === undefined)) continue
      if (valueAt(document, [...path, 'password']) === null) continue
      const [given, missing] = username === undefined ? ['password', 'username'] : ['username', 'password']
      const message = `The registry has a ${given} and no ${missing}. Add it, or remove both.`
      yield { path: [...path, given], on: 'key', message }
    }
  },
}

const encodedPassword: FieldRule = {
  code: 'user-data.registry-password-encoding',
  severity: 'error',
  summary: 'A password with `encodedPassword: true` is base64.',
  source: sources.installerReference,
  *check(document) {
    for (const path of registryPaths(document)) {
      const password = textAt(document, [...path, 'password'])
      if (valueAt(document, [...path, 'encodedPassword']) !== true || password === undefined) continue
      if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(password)) continue
      const message =
        'encodedPassword is true, but the password is not base64. Encode it, or set encodedPassword to false.'
      yield { path: [...path, 'password'], message }
    }
  },
}

const mappingTarget: FieldRule = {
  code: 'user-data.registry-mapping',
  severity: 'warning',
  summary: 'Mapping rules lead to one of the external registries, where registries are listed.',
  source: sources.installerReference,
  *check(document) {
    const domains = new Set(
      itemsAt(document, registries).map(([index]) =>
        textAt(document, [...registries, index, 'domain'])?.replace(/(?<!\/)\/+$/, ''),
      ),
    )
    if (domains.size === 0) return
    for (const [from, to] of entriesAt(document, mappingRules)) {
      if (typeof to !== 'string' || leadingPaths(to).some((path) => domains.has(path))) continue
      const message = `${from} is mapped to ${to}, which is none of the listed registries. Add the registry, or correct the rule.`
      yield { path: [...mappingRules, from], message }
    }
  },
}

/** `a/b/c`, `a/b` and `a` of `a/b/c`. */
function leadingPaths(path: string): string[] {
  const parts = path.split('/', 64)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** The rules about external registries. */
export const registryRules: readonly FieldRule[] = [
  bothKinds,
  domain,
  duplicateDomain,
  credentials,
  encodedPassword,
  mappingTarget,
]
