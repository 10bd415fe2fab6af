import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { releaseKey, reserveKey, restoreKey, takeKeyOver, useKey } from '@edgesmith/builds/idempotency'
import type { ReserveOptions } from '@edgesmith/builds/idempotency'
import { otherProjects, ownProject } from '../../../test/support/projects.ts'
import { at, newBuild, openStage } from './redis.ts'
import type { Stage } from './redis.ts'

describe('reserveKey', () => {
  let stage: Stage
  before(async () => {
    stage = await openStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  const reserve = (key: string, build = newBuild(), options: Partial<ReserveOptions> = {}) =>
    reserveKey(stage.redis, {
      ...{ project: ownProject, scope: 'default', key, fingerprint: 'one', buildId: build.id },
      ...options,
    })

  async function reserveNew(key: string, build = newBuild()) {
    const outcome = await reserve(key, build)
    assert.ok(outcome.outcome === 'new')
    return outcome.reservation
  }

  it('answers the first build again and again', async () => {
    const build = newBuild()
    await stage.repository.create(build, at, await reserveNew('replay', build))
    assert.deepEqual(await reserve('replay'), { outcome: 'replay', buildId: build.id })
    assert.deepEqual(await reserve('replay', newBuild(), { fingerprint: 'two' }), { outcome: 'mismatch' })
    assert.equal((await reserve('replay', newBuild(), { scope: 'other' })).outcome, 'new')
    for (const project of otherProjects) {
      assert.equal((await reserve('replay', newBuild(), { project })).outcome, 'new')
    }
    const [key = ''] = await stage.redis.keys('edgesmith:idempotency:*')
    assert.ok((await stage.redis.ttl(key)) > 0)
  })

  it('lets exactly one of many requests go on', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => reserve('many')))
    assert.equal(outcomes.filter(({ outcome }) => outcome === 'new').length, 1)
    assert.equal(outcomes.filter(({ outcome }) => outcome === 'in-progress').length, 19)
  })

  it('answers the build that used a key before Redis was empty, and makes none for who came meanwhile', async () => {
    const [build, meanwhile] = [newBuild(), newBuild()]
    const reservation = await reserveNew('lost', build)
    await stage.redis.del(reservation.key)
    const late = await reserveNew('lost', meanwhile)
    await restoreKey(stage.redis, reservation, { usedAt: new Date(), now: new Date() })
    await assert.rejects(stage.repository.create(meanwhile, at, late), { code: 'idempotency-key-in-use' })
    await releaseKey(stage.redis, late)
    assert.deepEqual(await reserve('lost'), { outcome: 'replay', buildId: build.id })
  })

  it('keeps a key for a day, from when it is reserved and from when it is used', async () => {
    const build = newBuild()
    const reservation = await reserveNew('ttl', build)
    for (const use of [
      () => Promise.resolve(),
      () => stage.repository.create(build, at, reservation),
      () => useKey(stage.redis, reservation),
    ]) {
      await use()
      const seconds = await stage.redis.ttl(reservation.key)
      assert.ok(seconds > 86_000 && seconds <= 86_400)
      await stage.redis.expire(reservation.key, 10)
    }
  })

  it('gives the key of a request that died to one that repeats it, after two minutes', async () => {
    const [dead, build] = [newBuild(), newBuild()]
    const first = await reserveNew('dead', dead)
    assert.deepEqual(await reserve('dead', build), { outcome: 'in-progress', first, isOverdue: false })
    const [seconds] = await stage.redis.time()
    await stage.redis.hset(first.key, 'since', Number(seconds) - 120)
    assert.deepEqual(await reserve('dead', build), { outcome: 'in-progress', first, isOverdue: true })
    const taken = await Promise.all([
      takeKeyOver(stage.redis, first, build.id),
      takeKeyOver(stage.redis, first, newBuild().id),
    ])
    const [reservation] = taken.filter((given) => given !== undefined)
    assert.equal(taken.filter((given) => given !== undefined).length, 1)
    assert.ok(reservation !== undefined)
    await assert.rejects(stage.repository.create(dead, at, first), { code: 'idempotency-key-in-use' })
    await stage.repository.create(build, at, reservation)
    assert.equal((await reserve('dead')).outcome, 'replay')
    assert.equal(await takeKeyOver(stage.redis, reservation, newBuild().id), undefined)
  })

  it('gives no build to a request whose reservation has run out', async () => {
    const [first, second] = [newBuild(), newBuild()]
    const reservation = await reserveNew('expired', first)
    await stage.redis.del(reservation.key)
    await assert.rejects(stage.repository.create(first, at, reservation), { code: 'idempotency-key-in-use' })
    await stage.repository.create(second, at, await reserveNew('expired', second))
    await assert.rejects(stage.repository.create(first, at, reservation), { code: 'idempotency-key-in-use' })
    assert.equal(await stage.repository.find(first.id), undefined)
  })

  it('can be given up, but not once it is used', async () => {
    const build = newBuild()
    await releaseKey(stage.redis, await reserveNew('released'))
    const reservation = await reserveNew('released', build)
    await stage.repository.create(build, at, reservation)
    await releaseKey(stage.redis, reservation)
    assert.equal((await reserve('released')).outcome, 'replay')
  })
})
