import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { say } from '../setup/progress.ts'
import { removeWorker } from '../setup/workers.ts'
import { readStackRecord, runs } from './process-file.ts'
import { stackMark, stackWorkerId } from './stack.ts'

const stopDeadlineMs = 90_000

/** The processes that carry the mark of a directory's stack. */
async function markedProcesses(directory: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const marked = await Promise.all(
    pids.map(async (pid) => {
      // Gone meanwhile, or another user's: not ours.
      const environment = await readFile(join('/proc', String(pid), 'environ'), 'utf8').catch(() => '')
      return environment.split('\0').includes(`${stackMark}=${directory}`) && pid !== process.pid
    }),
  )
  return pids.filter((_pid, index) => marked[index])
}

async function stopProcesses(directory: string): Promise<string> {
  const record = await readStackRecord(directory)
  if (record !== undefined && (await runs(record))) {
    say(`Stopping process ${record.process.pid}`)
    process.kill(record.process.pid, 'SIGTERM')
    const deadline = performance.now() + stopDeadlineMs
    while (performance.now() < deadline && (await runs(record))) await delay(100)
    if (await runs(record)) process.kill(record.process.pid, 'SIGKILL')
  }
  for (const pid of await markedProcesses(directory)) {
    say(`Killing process ${pid}, which a stack left behind`)
    process.kill(pid, 'SIGKILL')
  }
  return record?.dockerHost ?? process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock'
}

/**
 * Removes a stack: its processes, what its worker made in Docker with the cache, and its directory.
 * Nothing of it need be there.
 */
export async function removeStack(directory: string): Promise<void> {
  await removeWorker(await stopProcesses(directory), stackWorkerId(directory))
  await rm(directory, { recursive: true, force: true })
  say(`Removed ${directory}`)
}
