import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RefusalLimit } from '../src/refusal-limit.ts'

describe('RefusalLimit', () => {
  it('lets 30 refusals of a client be recorded in a minute, and counts the others', () => {
    const limit = new RefusalLimit()
    const admitted = Array.from({ length: 100 }, () => limit.admit('203.0.113.7', 0))
    assert.equal(admitted.filter((item) => item !== undefined).length, 30)
    assert.equal(limit.admit('203.0.113.8', 0), 0)
    assert.equal(limit.admit('203.0.113.7', 59_999), undefined)
    assert.equal(limit.admit('203.0.113.7', 60_000), 71)
    assert.equal(limit.admit('203.0.113.7', 60_000), 0)
  })

  it('keeps no more clients in mind than it can', () => {
    const limit = new RefusalLimit()
    for (let index = 0; index < 30; index += 1) limit.admit('first', 0)
    assert.equal(limit.admit('first', 0), undefined)
    for (let index = 0; index < 10_000; index += 1) limit.admit(`client ${index}`, 0)
    assert.equal(limit.admit('first', 0), 0)
  })
})
