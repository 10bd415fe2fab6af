import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { advanceBuild, cancelBuild, finishBuild, startBuild } from '@edgesmith/builds/build-state'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { Build } from '@edgesmith/contract/build'
import { at, newBuild, openStage } from './redis.ts'
import type { Stage } from './redis.ts'

const progress = { targetsSeen: 1, steps: 1, cachedSteps: 0 }

describe('BuildRepository', () => {
  let stage: Stage
  before(async () => {
    stage = await openStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  const start = (build: Build) => startBuild(build, at)
  const cancel = (build: Build) => cancelBuild(build, at)

  it('keeps a record', async () => {
    const build = newBuild({ labels: { site: 'store-0042' } })
    await stage.repository.create(build, at)
    assert.deepEqual(await stage.repository.get(build.id), build)
    await assert.rejects(stage.repository.create(build, at), { code: 'state-conflict' })
    await assert.rejects(stage.repository.get('01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'), {
      code: 'build-not-found',
    })
    assert.equal(await stage.repository.find('01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'), undefined)
  })

  it('saves only what nobody changed since it was read', async () => {
    const stored = await stage.repository.create(newBuild(), at)
    assert.ok(await stage.repository.save(stored, start(stored.build), at))
    assert.equal(await stage.repository.save(stored, cancel(stored.build), at), undefined)
    assert.equal((await stage.repository.get(stored.build.id)).state, 'running')
  })

  it('loses none of many changes at a time', async () => {
    const { build } = await stage.repository.create(newBuild(), at)
    await stage.repository.update(build.id, start, at)
    const step = (current: Build) =>
      advanceBuild(current, { ...progress, steps: (current.progress?.steps ?? 0) + 1 })
    await Promise.all(Array.from({ length: 40 }, () => stage.repository.update(build.id, step, at)))
    assert.equal((await stage.repository.get(build.id)).progress?.steps, 40)
  })

  it('lets exactly one of many finishers win', async () => {
    const { build } = await stage.repository.create(newBuild(), at)
    const { run } = await stage.repository.claim(build.id, 1, at)
    const finish = (current: Build) => finishBuild(current, { state: 'succeeded', artifacts: [] }, at)
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => stage.repository.update(build.id, finish, at, { run })),
    )
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  it('lets only the latest run write', async () => {
    const { build } = await stage.repository.create(newBuild(), at)
    await assert.rejects(stage.repository.claim(build.id, 2, at), { code: 'state-conflict' })
    const first = await stage.repository.claim(build.id, 1, at)
    const second = await stage.repository.claim(build.id, 1, at)
    assert.notEqual(first.run, second.run)
    const advance = (current: Build) => advanceBuild(current, progress)
    const log = [{ type: 'log', at: at.toISOString(), line: 'x' }] as const
    await assert.rejects(stage.repository.update(build.id, advance, at, { run: first.run }), {
      code: 'state-conflict',
    })
    await assert.rejects(stage.events.append(build.id, log, { run: first.run }), { code: 'state-conflict' })
    await stage.repository.update(build.id, advance, at, { run: second.run })
    assert.equal((await stage.events.append(build.id, log, { run: second.run })).length, 1)
  })

  it('forgets an ended build entirely', async () => {
    const { build } = await stage.repository.create(newBuild({ labels: { gone: 'yes' } }), at)
    await assert.rejects(stage.repository.remove(build.id), { code: 'state-conflict', message: /Cancel it/ })
    await stage.repository.update(build.id, cancel, at)
    await stage.repository.remove(build.id)
    await assert.rejects(stage.repository.remove(build.id), { code: 'build-not-found' })
    assert.deepEqual(await stage.redis.keys(`*${build.id}*`), [])
    assert.deepEqual((await stage.repository.list({ label: 'gone=yes', limit: 10 })).items, [])
    assert.equal(await stage.redis.exists('edgesmith:builds:label:gone=yes'), 0)
  })

  it('says that it is unavailable when Redis is away', async () => {
    const redis = openRedis('unix:///nowhere/redis.sock', {
      patience: 'brief',
      name: 'test',
      onError: () => undefined,
    })
    const repository = new BuildRepository(redis)
    await assert.rejects(repository.get('x'), (error: { code: string; headers: Record<string, string> }) => {
      assert.equal(error.headers['retry-after'], '5')
      return error.code === 'upstream-unavailable'
    })
    await closeRedis(redis)
  })
})

describe('BuildRepository.list', () => {
  let stage: Stage
  const builds: Build[] = []
  before(async () => {
    stage = await openStage()
    for (let number = 0; number < 230; number++) {
      const target = number % 3 === 0 ? 'iso' : 'all-images'
      const build = newBuild({
        target,
        labels: { even: String(number % 2 === 0), ...(number === 7 ? { one: 'a=b' } : {}) },
      })
      await stage.repository.create(build, at)
      if (number % 5 === 0) await stage.repository.update(build.id, (current) => cancelBuild(current, at), at)
      builds.unshift(await stage.repository.get(build.id))
    }
  })
  after(() => stage[Symbol.asyncDispose]())

  async function listAll(query: Omit<Parameters<BuildRepository['list']>[0], 'cursor'>): Promise<Build[]> {
    const items: Build[] = []
    let cursor: string | undefined
    do {
      const page = await stage.repository.list({ ...query, ...(cursor === undefined ? {} : { cursor }) })
      assert.ok(page.items.length > 0 && page.items.length <= query.limit)
      items.push(...page.items)
      cursor = page.nextCursor
    } while (cursor !== undefined)
    return items
  }

  it('pages through all builds, newest first', async () => {
    for (const limit of [1, 23, 100, 115, 200]) assert.deepEqual(await listAll({ limit }), builds)
  })

  it('filters by state, target and label, alone and together', async () => {
    const [state, target, label] = ['canceled', 'iso', 'even=true'] as const
    const byState = (build: Build) => build.state === state
    const byTarget = (build: Build) => build.target === target
    const byLabel = (build: Build) => build.labels['even'] === 'true'
    assert.deepEqual(await listAll({ state, limit: 7 }), builds.filter(byState))
    assert.deepEqual(await listAll({ target, limit: 7 }), builds.filter(byTarget))
    assert.deepEqual(await listAll({ label, limit: 7 }), builds.filter(byLabel))
    const all = builds.filter((build) => byState(build) && byTarget(build) && byLabel(build))
    assert.deepEqual(await listAll({ state, target, label, limit: 3 }), all)
    assert.equal((await listAll({ label: 'one=a=b', limit: 3 })).length, 1)
    assert.deepEqual(await stage.repository.list({ label: 'one=b', limit: 3 }), { items: [] })
  })

  it('is not disturbed by builds that come or change between pages', async () => {
    const page = await stage.repository.list({ limit: 10 })
    const extra = newBuild()
    await stage.repository.create(extra, at)
    const next = await stage.repository.list({
      limit: 10,
      ...(page.nextCursor && { cursor: page.nextCursor }),
    })
    assert.deepEqual(next.items, builds.slice(10, 20))
    await stage.repository.update(extra.id, (build) => cancelBuild(build, at), at)
    await stage.repository.remove(extra.id)
  })
})
