import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { foreignImages } from '../src/overlay-images.ts'

const allowed = ['registry.example.com/mirror']

/** They are told as `overlay.image-not-allowed`. */
describe('The images of a Dockerfile', () => {
  it('may be those of the list, $BASE, and stages of its own', () => {
    const dockerfile = `ARG BASE
FROM registry.example.com/mirror/tools:1 AS Tools
FROM scratch AS empty
FROM $BASE
COPY --from=tools /a /a
COPY --from=0 /b /b
RUN --mount=type=bind,from=tools,target=/t true
`
    assert.deepEqual(foreignImages(dockerfile, allowed), [])
  })

  it('are found wherever one is named', () => {
    const found = (text: string) => foreignImages(text, allowed)
    assert.deepEqual(found('# syntax=evil.example.com/frontend\nFROM $BASE'), ['evil.example.com/frontend'])
    assert.deepEqual(found('from --platform=linux/amd64 evil.example.com/a'), ['evil.example.com/a'])
    assert.deepEqual(found('FROM \\\n  evil.example.com/a as b'), ['evil.example.com/a'])
    assert.deepEqual(found('FROM "evil.example.com/a"'), ['evil.example.com/a'])
    assert.deepEqual(found('ARG X=evil\nFROM $X'), ['$X'])
    assert.deepEqual(found('FROM registry.example.com/mirror/$X'), ['registry.example.com/mirror/$X'])
    assert.deepEqual(found('COPY --chown=1 --from=evil/a /a /a'), ['evil/a'])
    assert.deepEqual(found('RUN --mount=type=bind,target=/x,from=evil/a true'), ['evil/a'])
  })
})
