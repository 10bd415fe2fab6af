import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

describe('the heap while an upload passes', () => {
  it('is seldom collected as a whole, also where V8 would let it grow little', async () => {
    const program = path.join(import.meta.dirname, 'stingy-heap.ts')
    // It grows by as little as in a process that was idle for long.
    const { stdout } = await promisify(execFile)(process.execPath, ['--optimize-for-size', program])
    const { majors } = JSON.parse(stdout) as { majors: number }
    // They are about 9; where the heap grows little, 56.
    assert.ok(majors < 25, `The whole heap was collected ${majors} times.`)
  })
})
