import { mask } from '@edgesmith/redaction/redactor'
import { isSecretName } from '@edgesmith/redaction/secret-name'

/** The way from the top of a document to a value: keys of maps and indexes of lists. */
export type Path = readonly (string | number)[]

/** The JSON Pointer (RFC 6901) of a path. */
export function toPointer(path: Path): string {
  return path.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** A path the way Palette's validator writes it, `stylus.site.caCerts.0`. */
export function toDotted(path: Path): string {
  return path.length === 0 ? '(root)' : path.join('.')
}

/** A value as a message tells it: those of fields that are called like secrets are not told. */
export function quoted(value: unknown, path: Path): string {
  return path.some((segment) => isSecretName(String(segment))) ? mask : JSON.stringify(value)
}

/** True for what YAML calls a mapping, as `document.ts` builds it. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path; undefined where there is none. */
export function valueAt(document: unknown, path: Path): unknown {
  let value = document
  for (const segment of path) {
    if (Array.isArray(value) && typeof segment === 'number') value = value[segment] as unknown
    else if (isMapping(value) && Object.hasOwn(value, segment)) value = value[segment]
    else return undefined
  }
  return value
}

/** The text at a path; undefined where there is none, or something that is not text, or an empty one. */
export function textAt(document: unknown, path: Path): string | undefined {
  const value = valueAt(document, path)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The entries of the mapping at a path; none where there is no mapping. */
export function entriesAt(document: unknown, path: Path): [string, unknown][] {
  const value = valueAt(document, path)
  return isMapping(value) ? Object.entries(value) : []
}

/** The items of the list at a path with their indexes; none where there is no list. */
export function itemsAt(document: unknown, path: Path): [number, unknown][] {
  const value = valueAt(document, path)
  return Array.isArray(value) ? [...(value as unknown[]).entries()] : []
}
