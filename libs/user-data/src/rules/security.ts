import { entriesAt, isMapping, itemsAt, textAt, valueAt, type Path } from '../path.ts'
import { sources, type FieldRule } from '../rule.ts'
import { legacyBoolean } from '../yaml-version.ts'
import { registryPaths } from './registries.ts'

/** A crypt(3) hash, a locked password, or none. */
const hash = /^(?:\$[0-9a-z]{1,8}\$.+|[!*x]{1,2}|)$/

/** The paths of all users with a password: those of the site, of Kairos, and of the steps of stages. */
function passwordPaths(document: unknown): Path[] {
  const users: Path[] = [...entriesAt(document, ['stylus', 'site', 'users'])].map(([name]) => [
    ...['stylus', 'site', 'users', name],
  ])
  users.push(...itemsAt(document, ['users']).map(([index]) => ['users', index]))
  for (const [stage] of entriesAt(document, ['stages'])) {
    for (const [index] of itemsAt(document, ['stages', stage])) {
      const path = ['stages', stage, index, 'users']
      users.push(...entriesAt(document, path).map(([name]) => [...path, name]))
    }
  }
  return users.map((path) => [...path, 'passwd'])
}

const userPassword: FieldRule = {
  code: 'user-data.clear-text-password',
  severity: 'warning',
  summary: 'Passwords of users are crypt hashes, not clear text.',
  source: sources.sensitiveUserData,
  *check(document) {
    for (const path of passwordPaths(document)) {
      const value = textAt(document, path)
      if (value === undefined || hash.test(value)) continue
      const message =
        'The password is in clear text: whoever holds the ISO can read it. Write its hash (openssl passwd -6), or use SSH keys.'
      yield { path, message }
    }
  },
}

const registryPassword: FieldRule = {
  code: 'user-data.clear-text-registry-password',
  severity: 'warning',
  summary:
    'Registry passwords are given in site user data rather than in the installer; base64 hides nothing.',
  source: sources.sensitiveUserData,
  *check(document) {
    for (const path of registryPaths(document)) {
      if (textAt(document, [...path, 'password']) === undefined) continue
      const message =
        'The registry password is readable in the ISO, encoded or not. Give it as site user data where you can, and let the account only pull.'
      yield { path: [...path, 'password'], message }
    }
  },
}

const proxyPassword: FieldRule = {
  code: 'user-data.clear-text-proxy-password',
  severity: 'warning',
  summary: 'Proxy URLs hold no password.',
  source: sources.sensitiveUserData,
  *check(document) {
    for (const field of ['httpProxy', 'httpsProxy']) {
      const path = ['stylus', 'site', 'network', field]
      const password = URL.parse(textAt(document, path) ?? '')?.password ?? ''
      if (password === '') continue
      const message = `The URL of the proxy holds a password, readable in the ISO. Give it as site user data where you can.`
      yield { path, message }
    }
  },
}

const tlsOff: FieldRule = {
  code: 'user-data.tls-verification',
  severity: 'warning',
  summary: 'The certificate of the Palette endpoint is verified.',
  source: sources.installerReference,
  *check(document) {
    const path = ['stylus', 'site', 'insecureSkipVerify']
    const value = valueAt(document, path)
    if (value !== true && legacyBoolean(value) !== true) return
    const message =
      'insecureSkipVerify lets anyone in between pose as Palette. Add the authority of the endpoint to caCerts instead.'
    yield { path, message }
  },
}

const skipCopy: FieldRule = {
  code: 'user-data.skip-copy',
  severity: 'warning',
  summary: 'Steps called `skip-copy-…` are for site user data; of an installer everything is copied.',
  source: sources.sensitiveUserData,
  *check(document) {
    for (const [stage] of entriesAt(document, ['stages'])) {
      for (const [index, step] of itemsAt(document, ['stages', stage])) {
        const name = isMapping(step) ? textAt(step, ['name']) : undefined
        if (name?.startsWith('skip-copy-') !== true) continue
        const message =
          'User-data built into the installer is copied to the host in whole, this step too. Give it as site user data to keep it off the disk.'
        yield { path: ['stages', stage, index, 'name'], message }
      }
    }
  },
}

/** The rules about secrets and trust. */
export const securityRules: readonly FieldRule[] = [
  userPassword,
  registryPassword,
  proxyPassword,
  tlsOff,
  skipCopy,
]
