import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { Turns, type Share } from '@edgesmith/builds/turns'
import { openStage, type Stage } from './redis.ts'

describe('Turns', () => {
  let stage: Stage
  let turns: Turns
  before(async () => {
    stage = await openStage()
    turns = new Turns(stage.redis)
  })
  after(() => stage[Symbol.asyncDispose]())
  beforeEach(() => stage.redis.flushall())

  async function join(tenant: string, count: number, share: Share = { weight: 1 }, first = 0): Promise<void> {
    for (let index = first; index < first + count; index += 1)
      await turns.join(`${tenant}-${index}`, tenant, share)
  }

  /** One worker that takes each job as it is called, and ends it; answers the tenants in the order of their turns. */
  async function work(count: number): Promise<string> {
    const called: string[] = []
    let order = ''
    while (order.length < count) {
      called.push(...(await turns.call()))
      const job = called.shift()
      if (job === undefined) return order
      await turns.begin(job)
      order += job[0] ?? ''
      await turns.end(job)
    }
    return order
  }

  const shareOf = (order: string, tenant: string) => order.split(tenant).length - 1

  it('calls one of another tenant soon, whatever is in line before it', async () => {
    await join('a', 1000)
    assert.equal(await work(100), 'a'.repeat(100))
    await join('b', 1)
    const order = await work(5)
    assert.equal(shareOf(order, 'b'), 1)
  })

  it('gives turns as the weights are', async () => {
    await join('a', 400, { weight: 1 })
    await join('b', 400, { weight: 3 })
    const order = await work(400)
    for (let from = 0; from + 40 <= order.length; from += 40) {
      const b = shareOf(order.slice(from, from + 40), 'b')
      assert.ok(b >= 29 && b <= 31, `${b} of 40`)
    }
  })

  it('starves nobody, and lets nobody catch up on what it has not asked for', async () => {
    await join('a', 50, { weight: 100 })
    await join('b', 2, { weight: 1 })
    await join('c', 300, { weight: 100 })
    assert.equal(shareOf(await work(202), 'b'), 1 + 1)
    await join('a', 100, { weight: 100 }, 100)
    const order = await work(100)
    assert.ok(Math.abs(shareOf(order, 'a') - 50) <= 2, order)
  })

  it('calls no more of a tenant than may be under way, and the next when one ends', async () => {
    await join('a', 5, { weight: 1, runningBuilds: 1 })
    await join('b', 2)
    const [first, other, ...none] = await turns.call()
    assert.deepEqual([first, other, none], ['a-0', 'b-0', []])
    for (const job of ['a-0', 'b-0']) await turns.begin(job)
    assert.deepEqual(await turns.call(), ['b-1'])
    await turns.begin('b-1')
    assert.deepEqual(await turns.call(), [])
    assert.deepEqual([await turns.find('a-0'), await turns.find('a-1')], ['active', 'in-line'])
    await turns.end('a-0')
    assert.deepEqual(await turns.call(), ['a-1'])
    assert.equal(await turns.find('a-0'), 'none')
  })

  it('knows a job once, takes it back, and tells all that it has', async () => {
    await join('a', 3)
    await join('a', 3)
    assert.equal(await turns.count(), 3)
    assert.deepEqual(await turns.call(), ['a-0', 'a-1'])
    await join('a', 3)
    assert.equal(await turns.count(), 1)
    await turns.end('a-2')
    await turns.end('a-0')
    assert.deepEqual(await Array.fromAsync(turns.jobs()), ['a-1'])
    assert.deepEqual(await turns.call(), [])
    assert.equal(await turns.find('a-1'), 'called')
  })

  it('tells the pace of a tenant', async () => {
    assert.equal(await turns.pace('a'), undefined)
    await join('a', 10)
    await work(10)
    const pace = await turns.pace('a')
    assert.ok(pace !== undefined && pace >= 0 && pace < 60)
  })
})
