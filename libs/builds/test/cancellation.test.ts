import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { BuildCanceled, requestCancel, watchCancel } from '@edgesmith/builds/cancellation'
import { cancelBuild, retryBuild } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import { at, fail, newBuild, openStage } from './redis.ts'
import type { Stage } from './redis.ts'

describe('requestCancel', () => {
  let stage: Stage
  let build: Build
  before(async () => {
    stage = await openStage()
  })
  after(() => stage[Symbol.asyncDispose]())
  beforeEach(async () => {
    build = (await stage.repository.create(newBuild(), at)).build
  })

  async function watch(attempt: number) {
    const controller = new AbortController()
    const { redis, notifications } = stage
    const watching = await watchCancel({
      redis,
      notifications,
      id: build.id,
      attempt,
      controller,
      onError: fail,
    })
    const aborted = new Promise((resolve) => {
      if (controller.signal.aborted) resolve(controller.signal.reason)
      controller.signal.addEventListener('abort', () => {
        resolve(controller.signal.reason)
      })
    })
    return {
      aborted,
      signal: controller.signal,
      [Symbol.asyncDispose]: () => watching[Symbol.asyncDispose](),
    }
  }

  it('ends a queued build at once, archive and all', async () => {
    const canceled = await requestCancel(stage, build.id, at)
    assert.equal(canceled.state, 'canceled')
    assert.equal(canceled.failure?.type, 'urn:edgesmith:problem:canceled')
    assert.equal((await Array.fromAsync(stage.store.list(`builds/${build.id}/`))).length, 3)
    await assert.rejects(requestCancel(stage, build.id, at), { code: 'state-conflict' })
  })

  it('tells the worker that runs the build', async () => {
    await stage.repository.claim(build.id, 1, at)
    await using watching = await watch(1)
    assert.equal((await requestCancel(stage, build.id, at)).state, 'running')
    assert.ok((await watching.aborted) instanceof BuildCanceled)
  })

  it('tells a worker that takes the build later', async () => {
    await stage.repository.claim(build.id, 1, at)
    await requestCancel(stage, build.id, at)
    await stage.repository.claim(build.id, 1, at)
    await using watching = await watch(1)
    assert.ok((await watching.aborted) instanceof BuildCanceled)
  })

  it('is over with the attempt', async () => {
    await stage.repository.claim(build.id, 1, at)
    await requestCancel(stage, build.id, at)
    await stage.repository.update(build.id, (current) => cancelBuild(current, at), at)
    await stage.repository.update(build.id, retryBuild, at)
    await stage.repository.claim(build.id, 2, at)
    await using second = await watch(2)
    await using first = await watch(1)
    await first.aborted
    assert.equal(second.signal.aborted, false)
  })

  it('wins or loses against a worker, and never both', async () => {
    for (let round = 0; round < 20; round++) {
      build = (await stage.repository.create(newBuild(), at)).build
      const [canceled, claimed] = await Promise.allSettled([
        requestCancel(stage, build.id, at),
        stage.repository.claim(build.id, 1, at),
      ])
      assert.ok(canceled.status === 'fulfilled')
      const { state } = await stage.repository.get(build.id)
      assert.equal(state, canceled.value.state)
      assert.equal(claimed.status, state === 'running' ? 'fulfilled' : 'rejected')
    }
  })
})
