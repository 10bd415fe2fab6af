import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { promisify } from 'node:util'

const execFileAsync = promisify(execFile)

/** What xorriso reads a file of an image from: Rock Ridge names, or without them Joliet names where there are any. */
export type Names = 'any' | 'norock'

/** Reads a file of an image with xorriso, which shares nothing with `@edgesmith/iso`. */
export async function readWithXorriso(image: string, names: Names, path: string): Promise<Buffer> {
  const output = `${image}.out`
  await rm(output, { force: true })
  await execFileAsync('xorriso', [
    ...['-abort_on', 'WARNING', '-report_about', 'WARNING', '-read_fs', names, '-indev', `stdio:${image}`],
    ...['-osirrox', 'on', '-extract', path, output],
  ])
  return readFile(output)
}
