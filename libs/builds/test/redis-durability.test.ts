import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { durabilityFaults, readDurability, warnOfVolatileRedis } from '@edgesmith/builds/redis-durability'
import { fail, openStage, type Stage } from './redis.ts'

describe('the durability of Redis', () => {
  let stage: Stage
  before(async () => {
    stage = await openStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  async function warnings(): Promise<string[]> {
    const told: string[] = []
    await warnOfVolatileRedis(stage.redis, { warn: (message) => told.push(message) })
    return told
  }

  it('is what it has to be, of a server that is started here', async () => {
    assert.deepEqual(await warnings(), [])
  })

  it('is warned of when it is less', async () => {
    await stage.redis.config('SET', 'appendfsync', 'everysec')
    await stage.redis.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'allkeys-lru')
    const told = await warnings()
    assert.equal(told.length, 2)
    assert.match(
      told[0] ?? '',
      /^Redis has `appendfsync everysec`; `always` is needed\. What it has answered.*can be lost/,
    )
    assert.match(told[1] ?? '', /^Redis has `maxmemory-policy allkeys-lru`/)
    await stage.redis.config('SET', 'appendfsync', 'always', 'maxmemory', '0')
    assert.deepEqual(await warnings(), [])
  })

  it('lacks everything without an append-only file', () => {
    const [fault] = durabilityFaults({ appendonly: 'no', appendfsync: 'always', maxmemory: '0' })
    assert.match(fault ?? '', /^Redis has `appendonly no`; `yes` is needed\./)
  })

  it('is told as far as it can be read where CONFIG is not allowed', async () => {
    await stage.redis.acl('SETUSER', 'guest', 'on', 'nopass', '~*', '+@all', '-config')
    const guest = openRedis(stage.url.replace('unix://', 'unix://guest:any@localhost'), {
      ...{ patience: 'brief', name: 'guest', onError: fail },
    })
    try {
      assert.deepEqual(durabilityFaults(await readDurability(guest)), [
        'Redis does not tell its `appendfsync`, which has to be `always`. What it has answered is on the disk only some time later.',
      ])
    } finally {
      await closeRedis(guest)
    }
  })
})
