import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { isAlive } from '../../../test/support/stopping-service.ts'

/** How long the kernel may take, in milliseconds. */
const patienceMs = 20_000

describe('A MinIO server', () => {
  it('ends with the process that started it, also when that is killed', async () => {
    await using resources = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-minio-'))
    resources.defer(() => rm(directory, { recursive: true, force: true }))
    const script = `
      import { startMinio } from '../server.ts'
      const { pid } = await startMinio({ dataDir: process.argv[1] })
      console.log(pid)
      setInterval(() => {}, 1000)
    `
    const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: import.meta.dirname,
    })
    resources.defer(() => void parent.kill('SIGKILL'))
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string]
    const pid = Number(line)
    assert.ok(await isAlive(pid))
    parent.kill('SIGKILL')
    const deadline = AbortSignal.timeout(patienceMs)
    while (await isAlive(pid)) await delay(20, undefined, { signal: deadline })
  })
})
