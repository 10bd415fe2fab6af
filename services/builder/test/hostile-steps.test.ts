import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import type { BuildFailure } from '@edgesmith/contract/build'
import { labelsOf } from '@edgesmith/engine/labels'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeHostileRepository } from './trial-repository.ts'

const run = promisify(execFile)
const MiB = 1024 ** 2
const prefix = 'urn:edgesmith:problem:'

describe('A hostile build', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  /** A build that goes on while the others do what they can. */
  let neighbour: string
  before(async () => {
    const repository = stack.use(await makeHostileRepository())
    harness = stack.use(
      await Harness.open({
        CANVOS_REPOSITORY: repository.path,
        BUILDER_CONCURRENCY: '2',
        BUILDKIT_MEMORY_BYTES: String(1024 * MiB),
        STEP_MEMORY_BYTES: String(192 * MiB),
        STEP_PIDS: '200',
        BUILDKIT_FREE_BYTES: String(768 * MiB),
        PREFLIGHT_FREE_BYTES: '0',
      }),
    )
    stack.use(await makeSmallCache(harness))
    stack.use(await startBuilder(harness.config))
    neighbour = await harness.submit({ arguments: { BEHAVIOUR: 'neighbour' } })
    await harness.until(neighbour, (event) => event.type === 'log' && event.line.includes('| listening at'))
  })
  after(() => stack.disposeAsync())

  /** Why a build that behaves so failed. */
  async function failureOf(behaviour: string): Promise<BuildFailure> {
    const id = await harness.submit({ arguments: { BEHAVIOUR: behaviour } })
    const { failure } = await harness.ended(id)
    assert.ok(failure !== undefined)
    assert.deepEqual(await harness.leftovers({ buildId: id }), [])
    return failure
  }

  it('finds every way out of its step shut', async () => {
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'escape' } })
    await harness.ended(id)
    const log = await harness.log(id)
    const told = log.filter((line) => /\| (open|shut): /.test(line)).map((line) => line.replace(/^.*\| /, ''))
    assert.equal(told.length, 12, log.join('\n'))
    assert.deepEqual(
      told.filter((line) => line.startsWith('open')),
      [],
    )
  })

  it('is given neither a directory of the daemon nor privileges nor Docker', async () => {
    const bind = await failureOf('bind')
    assert.equal(bind.failingTarget, '+bind')
    assert.match(bind.detail, /directories of the BuildKit daemon are not offered/)
    assert.ok(!JSON.stringify(bind).includes('PRIVATE KEY'))
    for (const behaviour of ['privileged', 'docker']) {
      const { lastLines } = await failureOf(behaviour)
      assert.ok(lastLines.join('\n').includes('security.insecure is not allowed'), lastLines.join('\n'))
    }
  })

  it('is ended as out of memory, which names its target', async () => {
    const failure = await failureOf('memory')
    assert.equal(failure.type, `${prefix}out-of-memory`)
    assert.equal(failure.failingTarget, '+memory')
    assert.match(failure.detail, new RegExp(`it may use ${192 * MiB} bytes`))
  })

  it('is ended when it fills the disk, which is then free again', async () => {
    const failure = await failureOf('disk')
    assert.equal(failure.type, `${prefix}disk-full`)
    assert.equal(failure.failingTarget, '+disk')
    assert.match(failure.detail, /bytes of the worker's disk were free/)
    // It was killed, and did not merely find the disk full.
    assert.ok(!failure.lastLines.some((line) => /no space left/i.test(line)), failure.lastLines.join('\n'))
    assert.equal((await failureOf('memory')).type, `${prefix}out-of-memory`)
  })

  it('is held when it forks without end, and gone when its time is up', async () => {
    const bomb = await harness.submit({ arguments: { BEHAVIOUR: 'bomb' }, timeoutSeconds: 20 })
    await harness.until(bomb, (event) => event.type === 'log' && event.line.endsWith('| bombing'))
    assert.match(
      await inDaemon('ls /sys/fs/cgroup/pids/buildkit /sys/fs/cgroup/buildkit 2>/dev/null | cat'),
      /\w/,
    )
    assert.equal((await harness.ended(bomb)).state, 'timed-out')
    // The step of the neighbour is the only one left.
    for (;;) {
      const steps = (await inDaemon('ls /run/edgesmith')).trim().split(/\s+/)
      if (steps.length === 1) break
    }
    const processes = await inDaemon('cat /proc/[0-9]*/cmdline | tr "\\0" " "')
    assert.ok(!processes.includes('bomb'), processes)
  })

  it('has left its neighbour alone', async () => {
    assert.equal((await harness.repository.get(neighbour)).state, 'running')
    await harness.cancel(neighbour)
    assert.equal((await harness.ended(neighbour)).state, 'canceled')
    assert.deepEqual(await harness.leftovers({ buildId: neighbour }), [])
  })

  async function inDaemon(command: string): Promise<string> {
    const exec = await (
      await harness.daemon()
    ).exec({
      Cmd: ['sh', '-c', command],
      ...{ AttachStdout: true, Tty: true },
    })
    return text(await exec.start({ Tty: true }))
  }
})

/** Makes the cache of the worker on a small disk of its own, as an operator may. */
async function makeSmallCache({ docker, config: { workerId } }: Harness): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-disk-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const image = join(directory, 'disk')
  const place = join(directory, 'mounted')
  await run('truncate', ['--size', '3G', image])
  await run('mkfs.ext4', ['-q', '-m', '0', image])
  await run('mkdir', [place])
  await run('mount', ['-o', 'loop', image, place])
  stack.defer(async () => {
    await run('umount', [place])
  })
  await docker.createVolume({
    Name: `edgesmith-${workerId}-cache`,
    Labels: labelsOf({ workerId }, 'cache'),
    DriverOpts: { type: 'none', o: 'bind', device: place },
  })
  const made = stack.move()
  return { [Symbol.asyncDispose]: () => made.disposeAsync() }
}
