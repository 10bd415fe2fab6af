import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { after, before, beforeEach, describe, it } from 'node:test'
import { archiveKey, removeArchive } from '@edgesmith/builds/build-archive'
import type { IdentifiedEvent } from '@edgesmith/builds/build-archive'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { recordKey, streamKey } from '@edgesmith/builds/build-keys'
import { readLog } from '@edgesmith/builds/build-log'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { cancelBuild, describeFailure, finishBuild, retryBuild } from '@edgesmith/builds/build-state'
import { BuildEvents } from '@edgesmith/builds/build-events'
import { compareEventIds } from '@edgesmith/builds/event-id'
import { openRedis } from '@edgesmith/builds/redis-connection'
import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import { at, fail, newBuild, openStage } from './redis.ts'
import type { Stage } from './redis.ts'

const failure = describeFailure('target-failed', 'It failed.')

function lines(from: number, count: number): BuildEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ type: 'log', at: at.toISOString(), line: `line ${from + index} \u2028 é` },
  }))
}

describe('BuildEvents', () => {
  let stage: Stage
  let build: Build
  let run: string
  before(async () => {
    stage = await openStage()
  })
  after(() => stage[Symbol.asyncDispose]())
  beforeEach(async () => {
    build = newBuild()
    await stage.repository.create(build, at)
    run = (await stage.repository.claim(build.id, 1, at)).run
  })

  const collect = async (after?: string): Promise<IdentifiedEvent[]> =>
    Array.fromAsync(
      await stage.events.read(build.id, { follow: false, ...(after === undefined ? {} : { after }) }),
    )
  const conclude = (finish = (current: Build) => finishBuild(current, { state: 'failed', failure }, at)) =>
    concludeBuild(stage, build.id, finish, at)
  const log = async (follow = false) =>
    (await Array.fromAsync(await readLog(stage, build.id, { follow }))).join('')
  const states = (events: IdentifiedEvent[]) =>
    events.flatMap(({ event }) => (event.type === 'state' ? [`${event.state} ${event.attempt}`] : []))

  function assertRising(events: IdentifiedEvent[]): void {
    for (const [index, { id }] of events.slice(1).entries()) {
      assert.ok(compareEventIds(events[index]?.id ?? '', id) < 0, `${events[index]?.id ?? ''} before ${id}`)
    }
  }

  it('tells each state with the change, and what was appended, in order', async () => {
    const ids = await stage.events.append(build.id, lines(0, 1000), { run })
    assert.equal(ids.length, 1000)
    const events = await collect()
    assertRising(events)
    assert.deepEqual(states(events), ['queued 1', 'running 1'])
    assert.deepEqual(
      events.slice(2).map(({ id }) => id),
      ids,
    )
    assert.deepEqual(
      events.slice(2).map(({ event }) => event),
      lines(0, 1000),
    )
  })

  it('resumes behind any id without loss', async () => {
    await stage.events.append(build.id, lines(0, 300), { run })
    const events = await collect()
    for (const position of [0, 1, 100, 256, 300, 301]) {
      assert.deepEqual(await collect(events[position]?.id), events.slice(position + 1))
    }
  })

  it('refuses an id that no event has', async () => {
    for (const id of [
      '',
      'x',
      '1-',
      '-1',
      '1-0',
      '99999999999999-0',
      '0-0',
      '1-1-1',
      '1'.repeat(40) + '-0',
    ]) {
      await assert.rejects(collect(id), { code: 'invalid-parameter' }, id)
    }
    await conclude()
    await stage.redis.del(streamKey(build.id))
    await assert.rejects(collect('1-0'), { code: 'invalid-parameter' })
    build = newBuild()
    await assert.rejects(collect(), { code: 'build-not-found' })
  })

  it('follows to the end, for many readers on one connection', async () => {
    const clients = async () => ((await stage.redis.client('LIST')) as string).trim().split('\n').length
    const before = await clients()
    const following = Array.from({ length: 500 }, async () =>
      Array.fromAsync(await stage.events.read(build.id, { follow: true })),
    )
    for (let batch = 0; batch < 10; batch++)
      await stage.events.append(build.id, lines(batch * 10, 10), { run })
    assert.equal(await clients(), before)
    await conclude()
    const expected = await collect()
    assert.equal(expected.length, 103)
    for (const events of await Promise.all(following)) assert.deepEqual(events, expected)
  })

  it('goes on following over a lost connection', async () => {
    const iterator = (await stage.events.read(build.id, { follow: true }))[Symbol.asyncIterator]()
    await iterator.next()
    await iterator.next()
    const pending = iterator.next()
    const subscribers = ((await stage.redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub')) as string)
      .trim()
      .split('\n')
    assert.equal(subscribers.length, 1)
    await stage.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    const [id] = await stage.events.append(build.id, lines(0, 1), { run })
    const next = await pending
    assert.ok(!next.done)
    assert.equal(next.value.id, id)
    await iterator.return?.()
  })

  it('stops following when its signal is aborted, and when the build is deleted', async () => {
    const controller = new AbortController()
    const aborted = Array.fromAsync(
      await stage.events.read(build.id, { follow: true, signal: controller.signal }),
    )
    controller.abort(new Error('gone'))
    await assert.rejects(aborted, { message: 'gone' })
    const following = Array.fromAsync(await stage.events.read(build.id, { follow: true }))
    await stage.repository.update(build.id, (current) => cancelBuild(current, at), at)
    await stage.repository.remove(build.id)
    assert.ok((await following).length <= 3)
  })

  it('ends at once for a reader that has everything', async () => {
    await conclude()
    const events = await collect()
    const again = await stage.events.read(build.id, { follow: true, after: events.at(-1)?.id ?? '' })
    assert.deepEqual(await Array.fromAsync(again), [])
  })

  it('serves the same from the archive once the stream has expired', async () => {
    await stage.events.append(build.id, lines(0, 700), { run })
    await conclude()
    const ttl = await stage.redis.ttl(streamKey(build.id))
    assert.ok(ttl > 3500 && ttl <= 3600)
    const [events, whole] = [await collect(), await log()]
    assert.deepEqual(states(events).at(-1), 'failed 1')
    assert.equal(
      whole,
      lines(0, 700)
        .map((event) => `${event.type === 'log' ? event.line : ''}\n`)
        .join(''),
    )
    await stage.redis.del(streamKey(build.id))
    assert.deepEqual(await collect(), events)
    assert.deepEqual(await collect(events[500]?.id), events.slice(501))
    assert.equal(await log(), whole)
    const archived = await text(await stage.store.get(archiveKey.record(build.id)))
    assert.deepEqual(JSON.parse(archived), await stage.repository.get(build.id))
    await removeArchive(stage.store, build.id)
    assert.deepEqual(await Array.fromAsync(stage.store.list(`builds/${build.id}/`)), [])
  })

  it('keeps one history over attempts, with rising ids even when the clock was set back', async () => {
    await stage.events.append(build.id, lines(0, 10), { run })
    const first = Array.fromAsync(await stage.events.read(build.id, { follow: true }))
    await conclude()
    const attempts = [await first]
    for (const attempt of [2, 3]) {
      await stage.redis.del(streamKey(build.id))
      await stage.redis.hset(recordKey(build.id), 'lastEventId', attempts.at(-1)?.at(-1)?.id ?? '')
      await stage.repository.update(build.id, retryBuild, at)
      const following = Array.fromAsync(await stage.events.read(build.id, { follow: true }))
      run = (await stage.repository.claim(build.id, attempt, at)).run
      await stage.events.append(build.id, lines(attempt * 100, 10), { run })
      assert.equal((await log()).split('\n').length - 1, attempt * 10)
      await conclude()
      attempts.push(await following)
    }
    const [, , last] = attempts
    assert.ok(last)
    assertRising(last)
    assert.deepEqual(
      states(last).filter((state) => state.startsWith('failed')),
      ['failed 1', 'failed 2', 'failed 3'],
    )
    assert.deepEqual(last.slice(0, attempts[0]?.length), attempts[0])
    assert.deepEqual(await collect(attempts[0]?.[4]?.id), last.slice(5))
    await stage.redis.del(streamKey(build.id))
    assert.deepEqual(await collect(), last)
  })

  it('gives rising ids behind an id of the future', async () => {
    await stage.redis.hset(recordKey(build.id), 'lastEventId', '9000000000000-7')
    assert.deepEqual(await stage.events.append(build.id, lines(0, 2), { run }), [
      '9000000000000-8',
      '9000000000000-9',
    ])
  })

  it('does not let a stream expire while its build is retried', async () => {
    await conclude()
    await stage.repository.update(build.id, retryBuild, at)
    assert.equal(await stage.redis.ttl(streamKey(build.id)), -1)
    assert.deepEqual(states(await collect()), ['queued 1', 'running 1', 'failed 1', 'queued 2'])
  })

  it('archives what happened, not the end that a dead worker could not save', async () => {
    const expected = [
      'queued 1',
      'running 1',
      'running 1',
      'failed 1',
      'queued 2',
      'running 2',
      'running 2',
      'failed 2',
    ]
    for (const attempt of [1, 2]) {
      const redis = openRedis(stage.url, { patience: 'brief', name: 'dying', onError: fail })
      const dying = concludeBuild(
        { ...stage, repository: new BuildRepository(redis) },
        build.id,
        (current) => {
          redis.disconnect()
          return finishBuild(current, { state: 'succeeded', artifacts: [] }, at)
        },
        at,
      )
      await assert.rejects(dying, { code: 'upstream-unavailable' })
      assert.match(await text(await stage.store.get(archiveKey.events(build.id))), /succeeded/)
      assert.equal((await stage.repository.get(build.id)).state, 'running')
      await stage.repository.claim(build.id, attempt, at)
      assert.deepEqual(states(await collect()), expected.slice(0, attempt * 4 - 1))
      await conclude()
      await stage.redis.del(streamKey(build.id))
      assert.deepEqual(states(await collect()), expected.slice(0, attempt * 4))
      await stage.repository.update(build.id, retryBuild, at)
      await stage.repository.claim(build.id, attempt + 1, at)
    }
  })

  it('keeps the archive of the run that won', async () => {
    const second = await stage.repository.claim(build.id, 1, at)
    const succeed = (current: Build) => finishBuild(current, { state: 'succeeded', artifacts: [] }, at)
    await assert.rejects(concludeBuild(stage, build.id, succeed, at, { run }), { code: 'state-conflict' })
    assert.deepEqual(await Array.fromAsync(stage.store.list(`builds/${build.id}/`)), [])
    const finish = (current: Build) => finishBuild(current, { state: 'failed', failure }, at)
    const results = await Promise.allSettled([
      concludeBuild(stage, build.id, succeed, at, { run: second.run }),
      concludeBuild(stage, build.id, finish, at, { run: second.run }),
    ])
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    const events = await collect()
    assert.equal(states(events).length, 4)
    await stage.redis.del(streamKey(build.id))
    assert.deepEqual(await collect(), events)
    const archived = JSON.parse(await text(await stage.store.get(archiveKey.record(build.id)))) as Build
    assert.deepEqual(archived, await stage.repository.get(build.id))
  })

  it('appends and saves once what is sent again after a lost connection', async () => {
    const keys = [recordKey(build.id), streamKey(build.id)]
    const { revision } = await stage.repository.read(build.id)
    const batch = [...keys, run, 'token', 'channel', 1000, '{}', '', JSON.stringify(lines(0, 1)[0])]
    const save = [3, ...keys, '', revision, run, 'writer', build.id, 'running', JSON.stringify(build), '']
    const rest = ['', 'channel', 0, 0, '', JSON.stringify(lines(1, 1)[0])]
    for (let time = 0; time < 2; time++) {
      assert.equal((await stage.redis.appendBuildEvents(...batch))[0], 'appended')
      assert.deepEqual(await stage.redis.saveBuild(...save, ...rest), [
        'saved',
        String(Number(revision) + 1),
        run,
      ])
    }
    assert.equal((await collect()).length, 4)
  })

  it('takes no event once the build has ended', async () => {
    await conclude()
    await assert.rejects(stage.events.append(build.id, lines(0, 1)), { code: 'state-conflict' })
    await assert.rejects(stage.events.append(newBuild().id, lines(0, 1)), { code: 'build-not-found' })
  })

  it('bounds the log, and says so once', async () => {
    const events = new BuildEvents({ ...stage, maxLogBytes: 5000 })
    for (let batch = 0; batch < 10; batch++) await events.append(build.id, lines(batch * 10, 10), { run })
    const progress = { targetsSeen: 1, steps: 1, cachedSteps: 0 }
    await events.append(build.id, [{ type: 'progress', at: at.toISOString(), progress }], { run })
    const kept = await collect()
    assert.ok(kept.length < 80)
    assert.equal(kept.at(-1)?.event.type, 'progress')
    const notices = (await log()).split('\n').filter((line) => line.includes('the rest is left out'))
    assert.equal(notices.length, 1)
  })
})
