import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { readArchivedBuild } from '@edgesmith/builds/build-archive'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { advanceBuild, describeFailure, finishBuild, retryBuild } from '@edgesmith/builds/build-state'
import { requestCancel } from '@edgesmith/builds/cancellation'
import type { Build, BuildState } from '@edgesmith/contract/build'
import type { StateEvent } from '@edgesmith/contract/event'
import { ProblemError } from '@edgesmith/contract/problem'
import fc from 'fast-check'
import { at, newBuild, openStage, type Stage } from './redis.ts'

/** What may follow, said once more: a state machine that allows more than it should is found by this. */
const next: Readonly<Record<BuildState, readonly BuildState[]>> = {
  queued: ['running', 'succeeded', 'failed', 'canceled'],
  running: ['running', 'succeeded', 'failed', 'canceled', 'timed-out'],
  succeeded: [],
  failed: ['queued'],
  canceled: ['queued'],
  'timed-out': ['queued'],
}

const progress = { targetsSeen: 1, steps: 2, cachedSteps: 0 }

const isOver = (state: BuildState) => state !== 'queued' && state !== 'running'

/** Something that is tried with a build, by one of three workers or by a client; most of it is refused. */
type Step =
  | { do: 'claim'; worker: number; attempt: number }
  | { do: 'progress' | 'log'; worker: number }
  | { do: 'end'; worker: number; as: 'succeeded' | 'failed' | 'timed-out' }
  | { do: 'give-up' | 'cancel' | 'retry' | 'create' }

const worker = fc.nat(2)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('claim'), worker, attempt: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('progress', 'log'), worker }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ do: fc.constant('end'), worker },
      as: fc.constantFrom('succeeded', 'failed', 'timed-out'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('give-up', 'cancel', 'retry', 'create') }) },
)

/** Steps one after another, some of them several at the same time. */
const course = fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { minLength: 3, maxLength: 14 })

describe('the states of a build', { timeout: 240_000 }, () => {
  let stage: Stage
  before(async () => {
    stage = await openStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  /** One build, and what has been done with it. */
  class Course {
    readonly build = newBuild()
    /** The run that each worker was given last. */
    readonly runs = new Map<number, string>()
    /** Attempts that a worker was told to have ended well. */
    readonly succeeded: number[] = []

    async run(groups: Step[][]): Promise<void> {
      await stage.repository.create(this.build, at)
      const watching = this.#watch()
      for (const group of groups) {
        const { run: current } = await stage.repository.read(this.build.id)
        await Promise.all(group.map((one) => this.#tryStep(one, current)))
      }
      await this.#finish()
      await watching
      await this.#check()
    }

    async #tryStep(one: Step, current: string): Promise<void> {
      // Whoever has been superseded stays so.
      const isStale = 'worker' in one && one.do !== 'claim' && this.#runOf(one.worker) !== current
      try {
        await this.#do(one)
      } catch (error) {
        assert.ok(error instanceof ProblemError && error.code === 'state-conflict', String(error))
        return
      }
      assert.ok(!isStale, `${one.do} was done by a worker that had lost the build`)
    }

    #runOf(number: number): string {
      return this.runs.get(number) ?? 'none'
    }

    async #do(one: Step): Promise<void> {
      const { repository, events } = stage
      const { id } = this.build
      switch (one.do) {
        case 'claim': {
          const { run } = await repository.claim(id, one.attempt, at)
          this.runs.set(one.worker, run)
          return
        }
        case 'progress':
          await repository.update(id, (build) => advanceBuild(build, progress), at, {
            run: this.#runOf(one.worker),
          })
          return
        case 'log': {
          const event = { type: 'log', at: at.toISOString(), line: 'line' } as const
          await events.append(id, [event], { run: this.#runOf(one.worker) })
          return
        }
        case 'end': {
          const ended = await concludeBuild(stage, id, (build) => endAs(build, one.as), at, {
            run: this.#runOf(one.worker),
          })
          if (ended.state === 'succeeded') this.succeeded.push(ended.attempt)
          return
        }
        case 'give-up':
          await concludeBuild(stage, id, (build) => endAs(build, 'failed'), at)
          return
        case 'cancel':
          await requestCancel(stage, id, at)
          return
        case 'retry':
          await repository.update(id, retryBuild, at)
          return
        case 'create':
          await repository.create(this.build, at)
      }
    }

    /** Ends it, so that whoever follows it comes to the end. */
    async #finish(): Promise<void> {
      await this.#tryStep({ do: 'give-up' }, '')
      assert.ok(isOver((await stage.repository.get(this.build.id)).state))
    }

    /** What is told of is stored already: the record, and the archive of an end. */
    async #watch(): Promise<void> {
      const { id } = this.build
      let last: StateEvent | undefined
      while (last === undefined || !isOver((await stage.repository.get(id)).state) || !isOver(last.state)) {
        for await (const { event } of await stage.events.read(id, { follow: true })) {
          if (event.type !== 'state') continue
          last = event
          const { state, attempt } = await stage.repository.get(id)
          const isLater =
            attempt > event.attempt || (attempt === event.attempt && isWithin(event.state, state))
          assert.ok(isLater, `${event.state} was told while the build was ${state}`)
          if (!isOver(event.state)) continue
          const archived = await readArchivedBuild(stage.store, id)
          assert.ok(archived !== undefined && archived.attempt >= event.attempt, 'an end is archived first')
        }
      }
    }

    async #check(): Promise<void> {
      const { id } = this.build
      const all = await Array.fromAsync(await stage.events.read(id, { follow: false }), ({ event }) => event)
      const told = all.filter((event) => event.type === 'state')
      assert.deepEqual([told[0]?.state, told[0]?.attempt], ['queued', 1])
      for (const [index, { state, attempt }] of told.entries()) {
        const previous = told[index - 1]
        if (previous === undefined) continue
        assert.ok(next[previous.state].includes(state), `${previous.state} became ${state}`)
        assert.equal(attempt, previous.attempt + (state === 'queued' ? 1 : 0))
      }
      const record = await stage.repository.get(id)
      assert.deepEqual([told.at(-1)?.state, told.at(-1)?.attempt], [record.state, record.attempt])
      assert.deepEqual(await readArchivedBuild(stage.store, id), record)
      assert.ok(this.succeeded.length <= 1, 'two writers ended it well')
      assert.equal(told.filter(({ state }) => state === 'succeeded').length, this.succeeded.length)
    }
  }

  it('follow the declared machine, whatever is tried, at whatever time and by whomever', async () => {
    await fc.assert(
      fc.asyncProperty(course, (groups) => new Course().run(groups)),
      // What never ends is a fault as well, and not to be made smaller by trying it again.
      { numRuns: 120, seed: 20_260_314, timeout: 20_000, endOnFailure: true },
    )
  })
})

/** Whether a build that was in one state can have come to another within the same attempt. */
function isWithin(from: BuildState, to: BuildState): boolean {
  return from === to || (!isOver(from) && to !== 'queued')
}

function endAs(build: Build, state: 'succeeded' | 'failed' | 'timed-out'): Build {
  if (state === 'succeeded') return finishBuild(build, { state, artifacts: [] }, at)
  return finishBuild(build, { state, failure: describeFailure('internal', 'It was tried.') }, at)
}
