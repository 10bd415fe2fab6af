import { randomBytes } from 'node:crypto'
import { keepFile } from './kept-file.ts'

/** A file of secrets is not what `keptSecrets` writes; the message says what to do. */
export class SecretsFileError extends Error {
  override name = 'SecretsFileError'
}

/**
 * Random secrets of 256 bits, hex, which are the same at every start: made at the first one and kept
 * in a file that only this user can read (0600). Processes that start at once get the same ones.
 * @throws SecretsFileError when the file is there and lacks one of the names
 */
export async function keptSecrets<const Name extends string>(
  file: string,
  names: readonly Name[],
): Promise<Record<Name, string>> {
  const fresh = Object.fromEntries(names.map((name) => [name, randomBytes(32).toString('hex')]))
  const kept: unknown = JSON.parse(await keepFile(file, `${JSON.stringify(fresh, null, 2)}\n`))
  if (!hasAll(kept, names)) {
    throw new SecretsFileError(
      `${file} lacks one of ${names.join(', ')}. Remove the file to have it made again.`,
    )
  }
  return kept
}

function hasAll<Name extends string>(value: unknown, names: readonly Name[]): value is Record<Name, string> {
  if (typeof value !== 'object' || value === null) return false
  const found = new Map<string, unknown>(Object.entries(value))
  return names.every((name) => typeof found.get(name) === 'string' && found.get(name) !== '')
}
