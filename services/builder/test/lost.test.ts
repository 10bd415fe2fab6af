import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Harness } from './harness.ts'
import { makeTrialRepository } from './trial-repository.ts'

const hanging = { arguments: { BEHAVIOUR: 'hang' } }

describe('A builder process', () => {
  const stack = new AsyncDisposableStack()
  const children = new Set<ChildProcess>()
  let harness: Harness
  before(async () => {
    const repository = stack.use(await makeTrialRepository())
    harness = stack.use(await Harness.open({ CANVOS_REPOSITORY: repository.path, BUILDER_LOST_LIMIT: '1' }))
  })
  after(async () => {
    for (const child of children) await end(child, 'SIGTERM')
    assert.deepEqual(await harness.leftovers(), [])
    await stack.disposeAsync()
  })

  /** Starts a builder as it is started for real. */
  function startProcess(): ChildProcess {
    const main = join(import.meta.dirname, '../src/main.ts')
    const child = spawn(process.execPath, [main], {
      env: { ...process.env, ...harness.environment },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    children.add(child)
    return child
  }

  /** Ends a process with a signal; answers its exit code. */
  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
    const exit = once(child, 'exit') as Promise<[number | null]>
    children.delete(child)
    child.kill(signal)
    return (await exit)[0]
  }

  function hangs(id: string, times: number): Promise<unknown> {
    let seen = 0
    return harness.until(
      id,
      (event) => event.type === 'log' && event.line.endsWith('| hanging') && (seen += 1) === times,
    )
  }

  it('hands its build on when it is told to stop, and removes everything in time', async () => {
    const builder = startProcess()
    const id = await harness.submit(hanging)
    await hangs(id, 1)
    const started = performance.now()
    assert.equal(await end(builder, 'SIGTERM'), 0)
    assert.ok(performance.now() - started < 30_000)
    assert.deepEqual(await harness.leftovers(), [])
    assert.equal((await harness.repository.get(id)).state, 'running')

    const next = startProcess()
    await hangs(id, 2)
    await harness.cancel(id)
    assert.equal((await harness.ended(id)).state, 'canceled')
    await end(next, 'SIGTERM')
  })

  it('that is killed leaves what its successor removes, and the build runs again', async () => {
    const builder = startProcess()
    const id = await harness.submit(hanging)
    await hangs(id, 1)
    await end(builder, 'SIGKILL')
    const left = await harness.leftovers({ buildId: id })
    assert.equal(left.length, 2, 'the container of the build and its volume')

    const next = startProcess()
    await hangs(id, 2)
    const now = await harness.leftovers({ buildId: id })
    assert.equal(now.length, 2)
    assert.ok(left.every((name) => !now.includes(name)))

    // A second death is one too many.
    await end(next, 'SIGKILL')
    startProcess()
    const build = await harness.ended(id)
    assert.equal(build.state, 'failed')
    assert.equal(build.failure?.type, 'urn:edgesmith:problem:worker-lost')
    assert.deepEqual(await harness.leftovers({ buildId: id }), [])
  })

  it('runs a build again whose BuildKit daemon dies, and fails it when that happens too often', async () => {
    const id = await harness.submit(hanging)
    await hangs(id, 1)
    await killDaemon()
    await hangs(id, 2)
    await killDaemon()
    const build = await harness.ended(id)
    assert.equal(build.state, 'failed')
    assert.equal(build.failure?.type, 'urn:edgesmith:problem:engine-unavailable')
    assert.deepEqual(await harness.leftovers({ buildId: id }), [])

    const next = await harness.submit({ arguments: { BEHAVIOUR: 'fail' } })
    assert.equal((await harness.ended(next)).failure?.failingTarget, '+failing')
  })

  it('starts a daemon in the place of one that Docker made, and was lost before it said so', async () => {
    const daemon = await harness.daemon()
    const { Name, Config } = await daemon.inspect()
    await daemon.remove({ force: true })
    await harness.docker.createContainer({ name: Name.slice(1), Image: Config.Image, Labels: Config.Labels })
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'fail' } })
    assert.equal((await harness.ended(id)).failure?.failingTarget, '+failing')
  })

  it('starts another daemon where clients do not get through to the one that runs', async () => {
    const daemon = await harness.daemon()
    const { NetworkSettings } = await daemon.inspect()
    const network = Object.keys(NetworkSettings.Networks).find((name) => name.endsWith('client-network'))
    assert.ok(network !== undefined)
    await harness.docker.getNetwork(network).disconnect({ Container: daemon.id })
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'fail' } })
    assert.equal((await harness.ended(id)).failure?.failingTarget, '+failing')
    assert.notEqual((await harness.daemon()).id, daemon.id)
  })

  async function killDaemon(): Promise<void> {
    await (await harness.daemon()).kill({ signal: 'SIGKILL' })
  }
})
