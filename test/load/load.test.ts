import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { unmetCriteria } from './criteria.ts'
import { runLoad } from './run-load.ts'

/**
 * A short load. Its limits are looser than those of `npm run bench -- load`: other tests run beside it, and
 * processes that have just begun still grow.
 */
const limits = { readP99Ms: 10_000, memoryGrowth: 0.5 }

describe('a stack with 60 clients', () => {
  it('answers all of them as they are to be, and keeps what it accepted', async () => {
    const report = await runLoad({ clients: 60, seconds: 20, seed: 1, thinkMs: 2500 })
    assert.deepEqual(unmetCriteria(report, limits), [])
    const { stamped, built, streams, streamsResumed, uploads, downloads } = report.done
    for (const [what, count] of Object.entries({
      stamped,
      built,
      streams,
      streamsResumed,
      uploads,
      downloads,
    })) {
      assert.ok(count > 0, `${what}: ${count}`)
    }
  })
})
