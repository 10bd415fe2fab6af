import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  advanceBuild,
  cancelBuild,
  describeFailure,
  finishBuild,
  isEnd,
  retryBuild,
  startBuild,
  stateEvent,
  transitions,
} from '@edgesmith/builds/build-state'
import { Build } from '@edgesmith/contract/build'
import type { BuildState } from '@edgesmith/contract/build'
import { Value } from 'typebox/value'
import { at, newBuild } from './redis.ts'

const states = Object.keys(transitions) as BuildState[]
const later = new Date(at.getTime() + 60_000)
const failure = describeFailure('target-failed', '+iso failed.', { failingTarget: '+iso', exitCode: 1 })

/** Each way to change a build, by the state it leads to. */
const changes: Record<BuildState, (build: Build) => Build> = {
  queued: retryBuild,
  running: (build) => startBuild(build, later),
  succeeded: (build) => finishBuild(build, { state: 'succeeded', artifacts: [] }, later),
  failed: (build) => finishBuild(build, { state: 'failed', failure }, later),
  canceled: (build) => cancelBuild(build, later),
  'timed-out': (build) => finishBuild(build, { state: 'timed-out', failure }, later),
}

describe('the states of a build', () => {
  it('change along the declared transitions alone', () => {
    for (const from of states) {
      for (const to of states) {
        const build = { ...newBuild(), state: from }
        if ((transitions[from] as readonly BuildState[]).includes(to)) {
          const next = changes[to](build)
          assert.equal(next.state, to)
          assert.deepEqual(Value.Errors(Build, next), [])
        } else {
          assert.throws(() => changes[to](build), { code: 'state-conflict' }, `${from} → ${to}`)
        }
      }
    }
  })

  it('end in four of them', () => {
    assert.deepEqual(states.filter(isEnd), ['succeeded', 'failed', 'canceled', 'timed-out'])
  })

  it('leave nothing of an attempt in the next', () => {
    const progress = { targetsSeen: 1, steps: 2, cachedSteps: 0 }
    const ended = finishBuild(
      advanceBuild(startBuild(newBuild(), at), progress),
      { state: 'failed', failure },
      later,
    )
    assert.equal(ended.startedAt, at.toISOString())
    assert.equal(ended.endedAt, later.toISOString())
    const retried = retryBuild(ended)
    assert.deepEqual(retried, { ...newBuild({ id: ended.id }), attempt: 2 })
    assert.deepEqual(stateEvent(ended, later), {
      ...{ type: 'state', at: later.toISOString(), state: 'failed', attempt: 1, failure },
    })
  })

  it('say what can be done instead', () => {
    assert.throws(() => retryBuild({ ...newBuild(), state: 'succeeded' }), {
      message: /Submit a new build instead/,
    })
    assert.throws(() => cancelBuild({ ...newBuild(), state: 'failed' }, at), {
      message: /already ended \(failed\)/,
    })
    assert.throws(() => advanceBuild(newBuild(), { targetsSeen: 0, steps: 0, cachedSteps: 0 }), {
      code: 'state-conflict',
    })
  })
})
