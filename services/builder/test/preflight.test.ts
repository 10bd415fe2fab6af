import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { judgeWorker } from '../src/preflight.ts'

const GB = 1000 ** 3
const large = {
  architecture: 'amd64',
  cpus: 4,
  memoryBytes: 8 * GB,
  diskBytes: 150 * GB,
  freeDiskBytes: 80 * GB,
}
const build = { arguments: { ARCH: 'amd64' } }

describe('judgeWorker', () => {
  for (const [name, worker, inputBytes, expected] of [
    ['a worker as documented', large, 0, []],
    ['another architecture', { ...large, architecture: 'arm64' }, 0, ['error worker.architecture']],
    ['just enough disk', { ...large, freeDiskBytes: 20 * GB + 6 * GB }, GB, []],
    ['a byte too little', { ...large, freeDiskBytes: 20 * GB + 6 * GB - 1 }, GB, ['error worker.disk']],
    [
      'a small worker',
      { ...large, cpus: 2, memoryBytes: 4 * GB, diskBytes: 100 * GB },
      0,
      ['warning worker.cpus', 'warning worker.memory', 'warning worker.storage'],
    ],
  ] as const) {
    it(`${name}: ${expected.join(', ') || 'nothing'}`, () => {
      const diagnostics = judgeWorker(worker, build, inputBytes, 20 * GB)
      assert.deepEqual(
        diagnostics.map(({ severity, code }) => `${severity} ${code}`),
        expected,
      )
    })
  }
})
