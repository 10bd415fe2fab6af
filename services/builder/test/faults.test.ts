import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { BuildFailure } from '@edgesmith/contract/build'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeTrialRepository } from './trial-repository.ts'

const prefix = 'urn:edgesmith:problem:'

describe('A build that goes wrong', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  before(async () => {
    const repository = stack.use(await makeTrialRepository())
    harness = stack.use(await Harness.open({ CANVOS_REPOSITORY: repository.path, BUILDER_CONCURRENCY: '2' }))
    stack.use(await startBuilder(harness.config))
  })
  after(() => stack.disposeAsync())

  /** Runs a build that behaves so; answers why it failed. */
  async function failureOf(
    behaviour: string,
    options: Parameters<Harness['submit']>[0] = {},
  ): Promise<BuildFailure> {
    const id = await harness.submit({ ...options, arguments: { BEHAVIOUR: behaviour, ...options.arguments } })
    const build = await harness.ended(id)
    assert.equal(build.state, 'failed')
    assert.deepEqual(build.artifacts, [])
    assert.deepEqual(await harness.leftovers({ buildId: id }), [])
    for await (const { key } of harness.store.list('artifacts/')) assert.fail(`${key} is left in the store`)
    assert.ok(build.failure !== undefined)
    return build.failure
  }

  it('names the target that failed, the exit code and the last lines', async () => {
    const failure = await failureOf('fail')
    assert.equal(failure.type, `${prefix}target-failed`)
    assert.equal(failure.failingTarget, '+failing')
    assert.equal(failure.exitCode, 1)
    assert.ok(failure.lastLines.some((line) => line.includes('about to fail')))
  })

  it('tells of a target that there is not', async () => {
    const failure = await failureOf('missing')
    assert.ok(
      failure.lastLines.some((line) => line.includes('absent')),
      failure.lastLines.join('\n'),
    )
  })

  it('runs nothing of the Earthfile in its container', async () => {
    const failure = await failureOf('local')
    assert.ok(
      failure.lastLines.some((line) => /strict|LOCALLY/.test(line)),
      failure.lastLines.join('\n'),
    )
  })

  it('has to leave an ISO image', async () => {
    const failure = await failureOf('no-output')
    assert.equal(failure.type, `${prefix}no-output`)
    assert.match(failure.detail, /readme\.txt/)
  })

  it('must not leave links or odd names', async () => {
    const failure = await failureOf('symlink')
    assert.equal(failure.type, `${prefix}invalid-output`)
    assert.match(failure.detail, /link\.iso is a symlink/)
    assert.match((await failureOf('odd-name')).detail, /odd name\.iso is a file whose name/)
  })

  it('must not leave what is no ISO image', async () => {
    const failure = await failureOf('invalid-iso')
    assert.equal(failure.type, `${prefix}invalid-iso`)
    assert.match(failure.detail, /test\.iso/)
  })

  it('must not leave a file that does not match the checksum beside it', async () => {
    assert.equal((await failureOf('wrong-sum')).type, `${prefix}checksum-mismatch`)
  })

  it('cannot use an input that is gone', async () => {
    const userData = { upload: `sha256:${'0'.repeat(64)}` }
    const failure = await failureOf('fail', { inputs: { userData } })
    assert.equal(failure.type, `${prefix}input-unavailable`)
    assert.match(failure.detail, /\/inputs\/userData/)
  })

  it('cannot smuggle lines, shell text or options through its arguments', async () => {
    const smuggled = '$(touch /tmp/x) `id` "; BEHAVIOUR=hang; --push +iso #'
    const failure = await failureOf('fail', { arguments: { MARKER: smuggled } })
    assert.equal(failure.failingTarget, '+failing')
    const line = `about to fail, marker ${smuggled}.`
    assert.ok(
      failure.lastLines.some((last) => last.endsWith(line)),
      failure.lastLines.join('\n'),
    )
  })

  it('is canceled while it runs', async () => {
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'hang' } })
    await harness.until(id, (event) => event.type === 'log' && event.line.endsWith('| hanging'))
    await harness.cancel(id)
    const build = await harness.ended(id)
    assert.equal(build.state, 'canceled')
    assert.ok(build.failure?.lastLines.some((line) => line.includes('hanging')))
    assert.deepEqual(await harness.leftovers({ buildId: id }), [])
  })

  it('times out', async () => {
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'hang' }, timeoutSeconds: 4 })
    const build = await harness.ended(id)
    assert.equal(build.state, 'timed-out')
    assert.match(build.failure?.detail ?? '', /4 seconds/)
    assert.deepEqual(await harness.leftovers({ buildId: id }), [])
  })

  it('may print more than can be kept, and is not lost by it', async () => {
    const failure = await failureOf('chatter')
    assert.equal(failure.type, `${prefix}target-failed`)
    assert.equal(failure.failingTarget, '+iso')
  })
})
