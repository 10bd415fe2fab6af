import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { recipeKeys } from '@edgesmith/bases/keys'
import { takeFlight } from '@edgesmith/builds/flight'
import { newBuild, openStage, fail, type Stage } from '../../../libs/builds/test/redis.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { awaitEarthly } from '../src/plan-build.ts'

describe('the turn to run Earthly for a root file system', () => {
  let stage: Stage
  before(async () => {
    stage = await openStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  const { canvos, target, arguments: buildArguments } = newBuild()
  const recipe = { canvos, target, arguments: buildArguments, inputs: [] }
  const keys = recipeKeys(recipe, { engine: 'engine', userDataReserveBytes: 4096 })
  const waitFor = (signal: AbortSignal) =>
    awaitEarthly(
      { redis: stage.redis, config: { lockSeconds: 5 }, logger: { warn: () => undefined } },
      ownProject,
      { recipe, keys },
      signal,
    )

  it('comes when the build that has it is through, and one at a time has it', async () => {
    const first = await takeFlight({
      ...{ redis: stage.redis, project: ownProject, key: `root:${keys.root}`, ttlMs: 5000, onError: fail },
    })
    assert.ok(first !== undefined)
    const turns: string[] = []
    const wait = async (name: string) => {
      const turn = await waitFor(new AbortController().signal)
      turns.push(`${name} begins`)
      await Promise.resolve()
      turns.push(`${name} ends`)
      await turn[Symbol.asyncDispose]()
    }
    const both = Promise.all([wait('a'), wait('b')])
    assert.deepEqual(turns, [])
    await first[Symbol.asyncDispose]()
    await both
    assert.equal(turns.length, 4)
    for (const index of [0, 2]) assert.equal(turns[index]?.[0], turns[index + 1]?.[0])
  })

  it('is not waited for any more when the build is to end', async () => {
    await using first = await waitFor(new AbortController().signal)
    assert.ok(first)
    const ending = new AbortController()
    const waiting = waitFor(ending.signal)
    ending.abort(new Error('canceled'))
    await assert.rejects(waiting, { message: 'canceled' })
  })
})
