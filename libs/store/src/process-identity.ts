import { readFile, readlink } from 'node:fs/promises'
import { isErrno } from './errno.ts'

/**
 * A name for a running process that no other gets while this machine is up: its PID namespace, its
 * PID and the clock tick it started at (proc(5), `/proc/<pid>/stat`, field 22). Two containers that
 * share a directory tell each other apart by the namespace.
 */
export type ProcessIdentity = { namespace: string; pid: number; startedAt: string }

/** The identity of this process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const startedAt = await readStartTick(process.pid)
  if (startedAt === undefined) throw new Error('/proc does not list this process.')
  return { namespace: await ownNamespace(), pid: process.pid, startedAt }
}

/** Whether a process still runs: undefined where this process cannot see it. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean | undefined> {
  if (identity.namespace !== (await ownNamespace())) return undefined
  return (await readStartTick(identity.pid)) === identity.startedAt
}

async function ownNamespace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid')
  const inode = /^pid:\[(\d+)\]$/.exec(link)?.[1]
  if (inode === undefined) throw new Error(`/proc/self/ns/pid is ${link}, which is no PID namespace.`)
  return inode
}

async function readStartTick(pid: number): Promise<string | undefined> {
  let stat: string
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
  // The second field is the command in brackets, and may hold spaces and brackets itself.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}
