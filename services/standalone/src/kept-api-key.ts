import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { formatKey, newKeyText } from '@edgesmith/identity/key-text'

/**
 * The operator's API key of an installation: made at the first start and kept in a file that only this user
 * can read (0600), as one line. Processes that start at once get the same one; `isNew` is true for the one that
 * made it.
 */
export async function keptApiKey(file: string): Promise<{ key: string; isNew: boolean }> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, `${formatKey(newKeyText())}\n`, { mode: 0o600, flag: 'wx' })
  let isNew = true
  try {
    await link(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    isNew = false
  } finally {
    await rm(draft)
  }
  return { key: (await readFile(file, 'utf8')).trim(), isNew }
}

/** Tells whoever starts the service at a terminal its new key; elsewhere only where it is kept, as logs stay. */
export function tellNewKey(key: string, file: string, output: NodeJS.WriteStream = process.stderr): void {
  output.write(
    output.isTTY
      ? `\nThe API key of this installation, shown this once and kept in ${file}:\n\n  ${key}\n\n`
      : `The API key of this installation is kept in ${file}.\n`,
  )
}
