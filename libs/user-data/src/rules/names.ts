import { itemsAt, textAt, type Path } from '../path.ts'
import { sources, type FieldRule, type Finding } from '../rule.ts'

const label = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/

/** What is wrong with a host name (RFC 1123, as Kubernetes takes it for node names); undefined if nothing. */
function hostNameFault(name: string): string | undefined {
  if (name.length > 253) return `has ${name.length} characters; at most 253 are allowed`
  const wrong = name
    .toLowerCase()
    .split('.')
    .find((part) => !label.test(part))
  if (wrong !== undefined) {
    return `holds the label ${JSON.stringify(wrong)}; labels are made of a-z, 0-9 and -, and begin and end with a letter or a digit`
  }
  const long = name.split('.').find((part) => part.length > 63)
  return long === undefined ? undefined : `holds a label of ${long.length} characters; at most 63 are allowed`
}

const hostName: FieldRule = {
  code: 'user-data.host-name',
  severity: 'error',
  summary:
    '`name` and `hostName` are host names: labels of a-z, 0-9 and `-`, at most 63 characters each and 253 together.',
  source: sources.installerReference,
  *check(document) {
    for (const field of ['name', 'hostName']) {
      const path = ['stylus', 'site', field]
      const name = textAt(document, path)
      if (name === undefined || (field === 'name' && name === '$random')) continue
      const fault = hostNameFault(name)
      if (fault !== undefined) yield { path, message: `${JSON.stringify(name)} ${fault}.` }
    }
  },
}

const upperCase: FieldRule = {
  code: 'user-data.host-name-case',
  severity: 'warning',
  summary: '`name` and `hostName` are written in lower case, as node names of Kubernetes are.',
  source: sources.installerReference,
  *check(document) {
    for (const field of ['name', 'hostName']) {
      const path = ['stylus', 'site', field]
      const name = textAt(document, path)
      if (name === undefined || name === name.toLowerCase() || hostNameFault(name) !== undefined) continue
      yield { path, message: `Node names are written in lower case. Write ${name.toLowerCase()}.` }
    }
  },
}

const prefix: FieldRule = {
  code: 'user-data.prefix',
  severity: 'error',
  summary: '`prefix` is made of letters, digits and `-`, and leaves room in an identifier of 128 characters.',
  source: sources.installerReference,
  *check(document) {
    const path = ['stylus', 'site', 'prefix']
    const value = textAt(document, path)
    if (value === undefined) return
    if (!/^[A-Za-z0-9-]+$/.test(value)) {
      yield {
        path,
        message: `Only letters, digits and - are allowed in prefix; it is ${JSON.stringify(value)}.`,
      }
    } else if (value.length > 90) {
      const message = `The prefix has ${value.length} characters. Identifiers are cut at 128, so that hosts would no longer differ: shorten it.`
      yield { path, message }
    }
  },
}

const absolutePath: FieldRule = {
  code: 'user-data.absolute-path',
  severity: 'error',
  summary: 'Paths on the host are absolute.',
  source: sources.installerReference,
  *check(document) {
    yield* relative(document, ['stylus', 'path'])
    yield* relative(document, ['stylus', 'site', 'tagsFromFile', 'fileName'])
    yield* relative(document, ['stylus', 'site', 'tagsFromScript', 'scriptName'])
    const identifiers = ['stylus', 'site', 'deviceUIDPaths']
    for (const [index] of itemsAt(document, identifiers))
      yield* relative(document, [...identifiers, index, 'name'])
    for (const field of ['bind_mounts', 'ephemeral_mounts', 'extra-dirs-rootfs']) {
      const path = ['install', field]
      for (const [index] of itemsAt(document, path)) yield* relative(document, [...path, index])
    }
  },
}

function* relative(document: unknown, path: Path): Generator<Finding> {
  const value = textAt(document, path)
  if (value === undefined || value.startsWith('/')) return
  yield { path, message: `${JSON.stringify(value)} is not an absolute path. Begin it with a slash.` }
}

const expression: FieldRule = {
  code: 'user-data.expression',
  severity: 'error',
  summary: 'Regular expressions of `deviceUIDPaths` are written in RE2: no look-around, no back references.',
  source: sources.installerReference,
  *check(document) {
    const list = ['stylus', 'site', 'deviceUIDPaths']
    for (const [index] of itemsAt(document, list)) {
      const path = [...list, index, 'regex']
      const value = textAt(document, path)
      if (value === undefined || !/\(\?(?:=|!|<=|<!)|\\[1-9]/.test(value)) continue
      const message = `${JSON.stringify(value)} uses look-around or back references, which RE2 does not have. Write it without.`
      yield { path, message }
    }
  },
}

/** The rules about names, paths and expressions. */
export const nameRules: readonly FieldRule[] = [hostName, upperCase, prefix, absolutePath, expression]
