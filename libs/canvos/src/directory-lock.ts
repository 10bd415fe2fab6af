import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Takes an exclusive lock on a file, shared with every process of every container that sees the same
 * file. The kernel holds it (flock(2), through util-linux's `flock`) and releases it when the holder
 * ends in whatever way, so a lock can never be left behind. The file is created when it isn't there.
 *
 * @param waitMs How long to wait for another holder, in milliseconds.
 * @param signal Ends the waiting; and, once the lock is held, the lock.
 * @throws when the lock is not free in time, or when `flock` is not installed.
 */
export async function lockFile(file: string, waitMs: number, signal?: AbortSignal): Promise<AsyncDisposable> {
  const holder = spawn(
    'flock',
    [
      '-x',
      '-w',
      String(Math.max(1, Math.ceil(waitMs / 1000))),
      file,
      'sh',
      '-c',
      'echo locked; exec cat >/dev/null',
    ],
    { stdio: ['pipe', 'pipe', 'ignore'], ...(signal === undefined ? {} : { signal }) },
  )
  // A holder that has ended already closes its input: that is no fault of the release.
  holder.stdin.on('error', () => undefined)
  const ended = once(holder, 'close')
  const locked = once(holder.stdout, 'data')
  await Promise.race([
    locked,
    ended.then(() => Promise.reject(new Error(`The lock ${file} was not free within ${waitMs / 1000} s`))),
  ])
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end()
      await ended
    },
  }
}
