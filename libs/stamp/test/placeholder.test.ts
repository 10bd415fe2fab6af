import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { maxReserve, minReserve, placeholderUserData } from '@edgesmith/stamp/placeholder'
import { validateUserData } from '@edgesmith/user-data/validate'

describe('placeholderUserData', () => {
  const edges = Array.from({ length: 130 }, (_, index) => minReserve + index)
  const capacities = [...edges, 2048, 262_143, 262_144, maxReserve - 1, maxReserve]

  it('takes exactly the bytes that are asked for', () => {
    for (const capacity of capacities) {
      const placeholder = placeholderUserData(capacity)
      assert.equal(placeholder.length, capacity)
      assert.equal(placeholder.at(-1), '\n'.charCodeAt(0))
      assert.ok(placeholder.equals(placeholderUserData(capacity)), 'equal capacities give equal bytes')
    }
  })

  it('is user-data that nothing is to be said against, whatever its size', () => {
    for (const capacity of capacities) {
      assert.deepEqual(validateUserData(placeholderUserData(capacity), { embeddedPublicKey: true }), [])
    }
  })

  it('begins with the header and says what it is', () => {
    const [header, ...lines] = placeholderUserData(262_144).toString().split('\n')
    assert.equal(header, '#cloud-config')
    assert.match(lines.join('\n'), /^# Edgesmith reserves the place of user-data/)
    assert.ok(lines.every((line) => line.length < 120))
  })

  it('refuses a size that has no room for it, and one that Kairos leaves unread', () => {
    for (const capacity of [-1, 0, minReserve - 1, 1000.5, NaN, maxReserve + 1, 1_000_000, Infinity]) {
      assert.throws(() => placeholderUserData(capacity), RangeError, `${capacity}`)
    }
  })
})
