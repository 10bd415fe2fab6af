import { spawn, type ChildProcess } from 'node:child_process'
import { ComposeError } from './compose-error.ts'

const keptCharacters = 4000

/**
 * Runs xorriso, which writes an image to its standard output, and keeps the image in a new file whose zeros are
 * holes: dd (GNU coreutils, `conv=sparse`) leaves them out, so that zeros cost no room, and no time of this
 * process.
 * @throws ComposeError when one of the programs fails; the signal's reason once it is aborted
 */
export async function writeImage(
  commands: readonly string[],
  { file, directory, signal }: { file: string; directory: string; signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted()
  // No startup file of the user's is read, and messages come in English.
  const env = { PATH: process.env['PATH'], HOME: directory, LC_ALL: 'C.UTF-8' }
  const common = { env, cwd: directory, signal, killSignal: 'SIGKILL' } as const
  const writer = spawn('dd', [`of=${file}`, 'bs=1M', 'iflag=fullblock', 'conv=sparse', 'status=none'], {
    ...common,
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const xorriso = spawn('xorriso', commands, { ...common, stdio: ['ignore', writer.stdin, 'pipe'] })
  // The pipe is xorriso's alone: it ends when xorriso does.
  writer.stdin.destroy()
  const [faults, writerFaults] = await Promise.all([faultsOf(xorriso), faultsOf(writer)])
  signal.throwIfAborted()
  const fault = faults ?? writerFaults
  if (fault !== undefined) throw new ComposeError(`The image could not be laid out: ${fault}`)
}

/** What a program says of its failure; undefined when it ends well. */
async function faultsOf(child: ChildProcess): Promise<string | undefined> {
  let messages = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    messages = (messages + text).slice(-keptCharacters)
  })
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  child.once('error', (error) => {
    if (child.pid === undefined) resolve(error.message)
  })
  child.once('close', (code, signal) => {
    const end = `${child.spawnfile} ended with ${code === null ? String(signal) : `exit code ${code}`}`
    resolve(code === 0 ? undefined : `${end}: ${messages.trim()}`)
  })
  return promise
}
