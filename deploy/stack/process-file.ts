import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRunning, ownIdentity, type ProcessIdentity } from '@edgesmith/store/process-identity'

/** What a stack's directory says of the process that runs it. */
export type StackRecord = { readonly process: ProcessIdentity; readonly dockerHost: string }

function fileOf(directory: string): string {
  return join(directory, 'stack.json')
}

/** The record of the stack of a directory, or undefined when none was started there. */
export async function readStackRecord(directory: string): Promise<StackRecord | undefined> {
  try {
    return JSON.parse(await readFile(fileOf(directory), 'utf8')) as StackRecord
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Whether the process of a record runs. */
export async function runs(record: StackRecord): Promise<boolean> {
  return (await isRunning(record.process)) === true
}

/**
 * Notes in a directory that this process runs its stack.
 * @throws Error when another process does.
 */
export async function writeStackRecord(directory: string, dockerHost: string): Promise<void> {
  const other = await readStackRecord(directory)
  if (other !== undefined && (await runs(other))) {
    throw new Error(
      `A stack runs in ${directory} already, process ${other.process.pid}. Stop it: npm run stack -- down`,
    )
  }
  const record: StackRecord = { process: await ownIdentity(), dockerHost }
  await writeFile(fileOf(directory), `${JSON.stringify(record)}\n`)
}
