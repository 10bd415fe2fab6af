import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Harness } from './harness.ts'
import { makeTrialRepository } from './trial-repository.ts'

/** Where Debian's libfaketime is. */
async function findFaketime(): Promise<string> {
  for (const architecture of await readdir('/usr/lib')) {
    const directory = join('/usr/lib', architecture, 'faketime')
    const names: string[] = await readdir(directory).catch(() => [])
    if (names.includes('libfaketimeMT.so.1')) return join(directory, 'libfaketimeMT.so.1')
  }
  throw new Error('There is no libfaketime: apt-get install faketime')
}

describe('A clock that jumps', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  /** What the builder has logged. */
  let told = ''
  let setClock: (offset: string) => Promise<void>
  before(async () => {
    const repository = stack.use(await makeTrialRepository())
    harness = stack.use(await Harness.open({ CANVOS_REPOSITORY: repository.path, BUILDER_CONCURRENCY: '2' }))
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-clock-'))
    stack.defer(() => rm(directory, { recursive: true }))
    const file = join(directory, 'offset')
    setClock = (offset) => writeFile(file, `${offset}\n`)
    await setClock('+0')
    const builder = spawn(process.execPath, [join(import.meta.dirname, '../src/main.ts')], {
      env: {
        ...{ ...process.env, ...harness.environment },
        LD_PRELOAD: await findFaketime(),
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    builder.stdout.on('data', (piece: Buffer) => (told += piece.toString()))
    stack.defer(async () => {
      const exit = once(builder, 'exit')
      builder.kill('SIGTERM')
      await exit
    })
  })
  after(() => stack.disposeAsync())

  for (const offset of ['+1d', '-1d']) {
    it(`ends no build that runs, and keeps none from beginning: ${offset}`, async () => {
      const running = await harness.submit({ arguments: { BEHAVIOUR: 'hang' }, timeoutSeconds: 600 })
      await harness.until(running, (event) => event.type === 'log' && event.line.endsWith('| hanging'))
      await setClock(offset)
      const next = await harness.ended(await harness.submit({ arguments: { BEHAVIOUR: 'fail' } }))
      assert.equal(next.failure?.failingTarget, '+failing', JSON.stringify(next.failure))
      assert.ok(
        Math.abs(Date.parse(next.endedAt ?? '') - Date.now()) > 23 * 60 * 60_000,
        'the clock has jumped',
      )
      assert.equal((await harness.repository.get(running)).state, 'running')
      await harness.cancel(running)
      assert.equal((await harness.ended(running)).state, 'canceled')

      const hanging = await harness.submit({ arguments: { BEHAVIOUR: 'hang' }, timeoutSeconds: 8 })
      await harness.until(hanging, (event) => event.type === 'log' && event.line.endsWith('| hanging'))
      await setClock('+0')
      const timed = await harness.ended(hanging)
      assert.equal(timed.state, 'timed-out')
      // A lock that is not renewed gives the build to another worker.
      assert.doesNotMatch(told, /lock/i)
    })
  }
})
