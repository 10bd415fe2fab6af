import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { runWithFault } from './fault-run.ts'
import { faults } from './faults.ts'
import { Ground } from './ground.ts'

/** Another one than that of `npm run test:faults`. */
const firstSeed = 20_000

describe('Builds while something goes wrong', () => {
  let ground: Ground
  before(async () => {
    ground = await Ground.open()
  })
  after(() => ground[Symbol.asyncDispose]())

  it('are tried with twenty faults', () => {
    assert.equal(faults.length, 20)
  })

  for (const [index, fault] of faults.entries()) {
    it(`end, once and whole, and leave nothing (${fault.name})`, async (context) => {
      const outcome = await runWithFault(ground, fault, firstSeed + index)
      context.diagnostic(JSON.stringify(outcome))
    })
  }
})
