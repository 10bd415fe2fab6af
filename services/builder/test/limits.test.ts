import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeTrialRepository } from './trial-repository.ts'

const logLimit = 20_000

describe('A build that wants too much', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  before(async () => {
    const repository = stack.use(await makeTrialRepository())
    harness = stack.use(
      await Harness.open({ CANVOS_REPOSITORY: repository.path, LOG_LIMIT_BYTES: String(logLimit) }),
    )
  })
  after(() => stack.disposeAsync())

  it('has a log of bounded size, which says that it is cut', async () => {
    await using _builder = await startBuilder(harness.config)
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'chatter' } })
    const { failure } = await harness.ended(id)
    assert.equal(failure?.failingTarget, '+iso')
    assert.ok(failure.lastLines.length > 0)
    const log = await harness.log(id)
    assert.ok(log.join('\n').length < 2 * logLimit)
    assert.ok(log.some((line) => line.includes(String(logLimit))))
  })

  it('may print a gigabyte, and ends as it would have ended', async () => {
    const limitBytes = 1024 ** 2
    await using _builder = await startBuilder({ ...harness.config, logLimitBytes: limitBytes })
    const before = process.memoryUsage().rss
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'flood' } })
    const { failure, startedAt = '', endedAt = '' } = await harness.ended(id)
    assert.equal(failure?.failingTarget, '+iso')
    assert.equal(failure.exitCode, 1)
    assert.ok(Date.parse(endedAt) - Date.parse(startedAt) < 120_000, 'within two minutes')
    assert.ok(process.memoryUsage().rss - before < 256 * 1024 ** 2, 'in little memory')
    const log = await harness.log(id)
    assert.ok(log.join('\n').length < 2 * limitBytes)
    assert.ok(
      log.some((line) => /log limit|is longer than/.test(line)),
      log.slice(-5).join('\n'),
    )

    // Whoever was cut off reads on from the event that was seen last.
    const ids: string[] = []
    for await (const { id: eventId } of await harness.events.read(id, { follow: false })) ids.push(eventId)
    const middle = ids[Math.floor(ids.length / 2)] ?? ''
    const rest: string[] = []
    for await (const { id: eventId } of await harness.events.read(id, { follow: false, after: middle })) {
      rest.push(eventId)
    }
    assert.deepEqual(rest, ids.slice(ids.indexOf(middle) + 1))
  })

  it('is told when its client is killed for memory', async () => {
    const client = { ...harness.config.client, memoryBytes: 8 * 1024 ** 2 }
    await using _builder = await startBuilder({ ...harness.config, client })
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'fail' } })
    const { state, failure } = await harness.ended(id)
    assert.equal(state, 'failed')
    assert.equal(failure?.type, 'urn:edgesmith:problem:out-of-memory')
    assert.deepEqual(await harness.leftovers({ buildId: id }), [])
  })
})
