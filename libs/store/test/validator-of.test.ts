import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Type } from 'typebox'
import { validatorOf } from '../src/validator-of.ts'

describe('The validator of a schema', () => {
  const schema = Type.Object({ at: Type.String({ format: 'date-time' }), size: Type.Integer({ minimum: 1 }) })

  it('is compiled once', () => {
    assert.equal(validatorOf(schema), validatorOf(schema))
    assert.notEqual(validatorOf(schema), validatorOf(Type.Object({})))
  })

  it('takes what fits the schema, and nothing else', () => {
    const record = { at: '2026-03-14T00:00:00Z', size: 1 }
    assert.deepEqual(validatorOf(schema).Parse(record), record)
    for (const other of [{ ...record, at: 'noon' }, { ...record, size: 0 }, { size: 1 }, undefined]) {
      assert.throws(() => validatorOf(schema).Parse(other))
    }
  })
})
