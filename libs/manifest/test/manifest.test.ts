import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  makeManifest,
  manifestId,
  objectManifest,
  objectsOf,
  patchManifest,
  sliceManifest,
  type Extent,
  type Manifest,
  type Patch,
} from '../src/manifest.ts'

const objects: Readonly<Record<string, Buffer>> = { base: randomBytes(5000), patch: randomBytes(700) }

/** The bytes of extents, from the objects above. */
function bytesOf(extents: readonly Extent[]): Buffer {
  return Buffer.concat(
    extents.map((extent) => {
      if ('zeros' in extent) return Buffer.alloc(extent.length)
      const bytes = objects[extent.object]?.subarray(extent.offset, extent.offset + extent.length)
      assert.equal(bytes?.length, extent.length)
      return bytes
    }),
  )
}

function randomExtent(length: number): Extent {
  const offset = randomInt(0, 700 - length)
  return randomInt(3) === 0 ? { length, zeros: true } : { length, object: 'patch', offset }
}

/** Patches in any order that do not overlap. */
function randomPatches(size: number): Patch[] {
  const patches: Patch[] = []
  for (let position = randomInt(300); position < size - 64; position += randomInt(1, 900)) {
    const extent = randomExtent(randomInt(1, 64))
    patches.push({ offset: position, extent })
    position += extent.length
  }
  return patches.sort(() => randomInt(3) - 1)
}

function isJoined({ extents }: Manifest): boolean {
  return makeManifest(extents).extents.length === extents.length
}

describe('manifests', () => {
  it('have the bytes of the image with its patches, whole and in any range', () => {
    for (let run = 0; run < 200; run += 1) {
      const image = objectManifest('base', 5000)
      const expected = bytesOf(image.extents)
      let patched = image
      // Patched twice: the patches of the second time cut those of the first.
      for (const patches of [randomPatches(5000), randomPatches(5000)]) {
        patched = patchManifest(patched, patches)
        for (const { offset, extent } of patches) bytesOf([extent]).copy(expected, offset)
      }
      assert.equal(patched.size, 5000)
      assert.ok(isJoined(patched))
      assert.deepEqual(bytesOf(patched.extents), expected)
      for (let slice = 0; slice < 20; slice += 1) {
        const offset = randomInt(5001)
        const length = randomInt(5001 - offset)
        assert.deepEqual(
          bytesOf(sliceManifest(patched, { offset, length })),
          expected.subarray(offset, offset + length),
        )
      }
    }
  })

  it('join what adjoins, and leave out what is empty', () => {
    const joined = makeManifest([
      { length: 4, object: 'a', offset: 0 },
      { length: 0, object: 'b', offset: 9 },
      { length: 6, object: 'a', offset: 4 },
      { length: 1, object: 'a', offset: 11 },
      { length: 2, zeros: true },
      { length: 3, zeros: true },
      { length: 1, object: 'b', offset: 12 },
    ])
    assert.deepEqual(joined, {
      size: 17,
      extents: [
        { length: 10, object: 'a', offset: 0 },
        { length: 1, object: 'a', offset: 11 },
        { length: 5, zeros: true },
        { length: 1, object: 'b', offset: 12 },
      ],
    })
    assert.deepEqual(objectsOf(joined), ['a', 'b'])
    assert.deepEqual(objectManifest('a', 0), { size: 0, extents: [] })
  })

  it('keep offsets of more than 32 bits', () => {
    const size = 6 * 1024 ** 3
    const patched = patchManifest(objectManifest('base', size), [
      { offset: size - 9, extent: { length: 8, object: 'patch', offset: 0 } },
    ])
    assert.deepEqual(sliceManifest(patched, { offset: size - 10, length: 10 }), [
      { length: 1, object: 'base', offset: size - 10 },
      { length: 8, object: 'patch', offset: 0 },
      { length: 1, object: 'base', offset: size - 1 },
    ])
  })

  it('refuse ranges outside the image, and patches that overlap or reach over its end', () => {
    const image = objectManifest('base', 100)
    const patch = (offset: number, length: number): Patch => ({ offset, extent: { length, zeros: true } })
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [0, 101],
      [100, 1],
    ] as const) {
      assert.throws(() => sliceManifest(image, { offset, length }), RangeError)
    }
    assert.throws(() => patchManifest(image, [patch(10, 10), patch(19, 1)]), RangeError)
    assert.throws(() => patchManifest(image, [patch(99, 2)]), RangeError)
    assert.deepEqual(patchManifest(image, [patch(10, 10), patch(20, 80)]).extents, [
      { length: 10, object: 'base', offset: 0 },
      { length: 90, zeros: true },
    ])
  })

  it('have an identity that tells extents apart', () => {
    const ids = [
      objectManifest('a', 10),
      objectManifest('a', 11),
      objectManifest('b', 10),
      makeManifest([{ length: 10, object: 'a', offset: 1 }]),
      makeManifest([{ length: 10, zeros: true }]),
    ].map(manifestId)
    assert.equal(new Set(ids).size, ids.length)
    assert.ok(ids.every((id) => /^[0-9a-f]{64}$/.test(id)))
    assert.equal(manifestId(objectManifest('a', 10)), ids[0])
  })
})
