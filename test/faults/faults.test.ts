import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { faults } from './faults.ts'
import { RenewedRunner } from './renewed-runner.ts'

/** Others than those of `npm run test:faults`. */
const firstSeed = 20_000

/** Stacks that run at a time: much of a run is waiting. */
const stacks = 2

describe('Builds while something goes wrong', { concurrency: stacks }, () => {
  const idle = Array.from({ length: stacks }, () => new RenewedRunner())
  after(async () => {
    for (const runner of idle) await runner[Symbol.asyncDispose]()
  })

  for (const [index, fault] of faults.entries()) {
    it(`end, once and whole, and leave nothing: ${fault.name}`, async (context) => {
      const runner = idle.pop()
      assert.ok(runner !== undefined, 'as many run at a time as there are stacks')
      try {
        context.diagnostic(JSON.stringify(await runner.run(fault, firstSeed + index)))
      } finally {
        idle.push(runner)
      }
    })
  }
})
