import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { requestedRanges } from '../src/byte-range.ts'

describe('requestedRanges', () => {
  it('takes lists with empty elements and blanks, as RFC 9110 has them', () => {
    assert.deepEqual(requestedRanges('Bytes= ,0-1 ,\t, -2', 100), [
      { offset: 0, length: 2 },
      { offset: 98, length: 2 },
    ])
  })

  for (const header of [
    'bytes=',
    'bytes=,',
    'bytes=1',
    'bytes=-',
    'bytes=0-1,x',
    'bytes=0 -1',
    'lines=0-1',
  ]) {
    it(`sends the whole file for ${header}`, () => {
      assert.equal(requestedRanges(header, 100), undefined)
    })
  }

  it('reads what is not well formed in a time that grows with its length', () => {
    const header = `bytes=0-0${',\t\t'.repeat(5000)}x`
    const started = performance.now()
    assert.equal(requestedRanges(header, 100), undefined)
    assert.ok(performance.now() - started < 1000)
  })
})
