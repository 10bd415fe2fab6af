import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from './errno.ts'
import { isRunning, ownIdentity } from './process-identity.ts'

const namePattern = /^(?<namespace>\d+)-(?<pid>\d+)-(?<startedAt>\d+)-[0-9a-f-]{36}$/

/** Age in milliseconds at which a file of a process in another PID namespace counts as left behind. */
const foreignFileLifetime = 24 * 60 * 60 * 1000

/**
 * The directory in which files are written before they are moved to where they belong. Each file
 * name tells the process that writes it, so that what a crashed process left can be told from what
 * a running one is writing.
 */
export class IncomingFiles {
  readonly #directory: string
  readonly #namePrefix: string

  private constructor(directory: string, namePrefix: string) {
    this.#directory = directory
    this.#namePrefix = namePrefix
  }

  /** Opens the directory, makes it where missing, and removes the files of processes that ended. */
  static async open(directory: string): Promise<IncomingFiles> {
    await mkdir(directory, { recursive: true })
    for (const name of await readdir(directory)) {
      const path = join(directory, name)
      if (await isLeftBehind(path, name)) await rm(path, { force: true })
    }
    const { namespace, pid, startedAt } = await ownIdentity()
    return new IncomingFiles(directory, `${namespace}-${pid}-${startedAt}`)
  }

  /** A path no one else uses. Whoever asks for it writes the file and moves or removes it. */
  newPath(): string {
    return join(this.#directory, `${this.#namePrefix}-${randomUUID()}`)
  }
}

async function isLeftBehind(path: string, name: string): Promise<boolean> {
  const { namespace, pid, startedAt } = namePattern.exec(name)?.groups ?? {}
  if (namespace === undefined || pid === undefined || startedAt === undefined) return false
  const running = await isRunning({ namespace, pid: Number(pid), startedAt })
  if (running !== undefined) return !running
  try {
    return Date.now() - (await stat(path)).mtimeMs > foreignFileLifetime
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
