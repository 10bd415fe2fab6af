import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { changesChannel } from '@edgesmith/builds/build-keys'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { Build } from '@edgesmith/contract/build'
import { fetch } from '../../../test/support/as-operator.ts'
import { validBuild } from './api-operations.ts'
import { until } from './fleet-client.ts'
import { startHarness } from './harness.ts'

describe('A gateway that closes', () => {
  it('answers 503 to who waits for the first line of a log', async () => {
    const harness = await startHarness()
    const redis = openRedis(harness.redisUrl, { patience: 'brief', name: 'test', onError: () => undefined })
    const submitted = await fetch(`${harness.url}/v1/builds`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(validBuild),
    })
    const { id } = (await submitted.json()) as Build
    const following = fetch(`${harness.url}/v1/builds/${id}/logs?follow=true`)
    await until(
      () => redis.pubsub('NUMSUB', changesChannel(id)),
      ([, followers]) => Number(followers) > 0,
    )
    await closeRedis(redis)
    await harness[Symbol.asyncDispose]()
    const answer = await following
    assert.equal(answer.status, 503)
    assert.equal(answer.headers.get('retry-after'), '1')
    assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  })
})
