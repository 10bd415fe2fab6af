import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { describe, it } from 'node:test'
import { copiedPart, minimumPart, planParts, sentPart } from '../src/part-plan.ts'
import { sizeOf, type Piece } from '../src/pieces.ts'

const MiB = 1024 ** 2

/** The bytes of a plan as pieces again, those that continue each other joined. */
function join(pieces: Iterable<Piece>): Piece[] {
  const joined: Piece[] = []
  for (const piece of pieces) {
    const last = joined.at(-1)
    if (last !== undefined && 'zeros' in last && 'zeros' in piece) {
      joined.splice(-1, 1, { ...last, length: last.length + piece.length })
    } else if (
      last !== undefined &&
      'object' in last &&
      'object' in piece &&
      last.object === piece.object &&
      last.offset + last.length === piece.offset
    ) {
      joined.splice(-1, 1, { ...last, length: last.length + piece.length })
    } else joined.push(piece)
  }
  return joined
}

describe('plans of parts', () => {
  it('hold all bytes in order, in parts that S3 takes', () => {
    for (let run = 0; run < 2000; run += 1) {
      const pieces: Piece[] = Array.from({ length: randomInt(1, 30) }, (_, index) => {
        const length = randomInt(1, [100, MiB, 6 * MiB, 30 * MiB, 3000 * MiB][randomInt(5)] ?? 2)
        return randomInt(4) === 0 && length < 100 * MiB
          ? { length, zeros: true }
          : { length, object: `o${index}`, offset: randomInt(10 * MiB) }
      })
      const parts = planParts(pieces)
      for (const [index, part] of parts.entries()) {
        const length = 'copy' in part ? part.copy.length : sizeOf(part.send)
        assert.ok(length <= ('copy' in part ? copiedPart : sentPart))
        assert.ok(length >= minimumPart || index === parts.length - 1, `part ${index} has ${length} bytes`)
      }
      const planned = parts.flatMap((part) => ('copy' in part ? [part.copy] : part.send))
      assert.deepEqual(join(planned), join(pieces))
    }
  })

  it('send little of large ranges', () => {
    const GiB = 1024 ** 3
    const parts = planParts([
      { length: 40_000, object: 'base', offset: 0 },
      { length: 8, object: 'patch', offset: 0 },
      { length: 6 * GiB, object: 'base', offset: 40_008 },
      { length: 8, object: 'patch', offset: 0 },
    ])
    const sent = parts.reduce((sum, part) => sum + ('send' in part ? sizeOf(part.send) : 0), 0)
    assert.equal(sent, minimumPart + 8)
    assert.equal(parts.length, 1 + 6 + 1)
  })
})
