import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fuzz } from './fuzz.ts'

const seed = 5

it(`answers Schemathesis as the API is described (seed ${seed})`, async (test) => {
  const lines: string[] = []
  const { requests, failures, serverErrors } = await fuzz({
    ...{ requests: 1, seed, maxExamples: 2 },
    tell: (line) => lines.push(line),
  })
  test.diagnostic(lines.at(-2) ?? '')
  assert.ok(requests > 1000, `There were ${requests} requests.`)
  assert.deepEqual({ failures, serverErrors }, { failures: 0, serverErrors: 0 }, lines.join('\n'))
})
