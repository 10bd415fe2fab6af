import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LineCounter } from 'yaml'
import { readYaml } from '../src/read-yaml.ts'

/** Texts that the library takes minutes for, or fails on, when they are as long as a build spec may be. */
const hostile: Record<string, (count: number) => string> = {
  'keys within keys': (count) => '? '.repeat(count),
  'lists within lists': (count) => '- '.repeat(count),
  'brackets that are not closed': (count) => '['.repeat(count),
  'brackets that are closed': (count) => `${'['.repeat(count)}${']'.repeat(count)}`,
  'braces within braces': (count) => '{a: '.repeat(count),
  'keys of a mapping in lines': (count) =>
    Array.from({ length: count / 10 }, (_, index) => `k${index}: v`).join('\n'),
  'keys of a mapping in braces': (count) =>
    `{${Array.from({ length: count / 10 }, (_, index) => `k${index}: v`).join(',')}}`,
  anchors: (count) => '&a '.repeat(count),
}

const longest = 400_000

describe('readYaml', () => {
  for (const [name, make] of Object.entries(hostile)) {
    it(`takes a time that grows with the length alone for ${name}`, () => {
      const text = make(longest)
      const startedAt = performance.now()
      readYaml(text)
      // On the slowest machine of all: what it guards against takes minutes on the fastest.
      assert.ok(performance.now() - startedAt < 20_000)
    })
  }

  it('reads what the library reads', () => {
    const { document, faults } = readYaml('a: [1, "2", null]\nb: &b {c: true}\nd: *b\n')
    assert.deepEqual(faults, [])
    assert.deepEqual(document.toJS(), { a: [1, '2', null], b: { c: true }, d: { c: true } })
    assert.deepEqual(readYaml('').document.toJS(), null)
  })

  const faulty: [name: string, text: string, message: RegExp, place: { line: number; col: number }][] = [
    ['a key that is there twice', 'a: 1\nb: 2\na: 3\n', /unique/, { line: 3, col: 1 }],
    ['a key that is a list', 'a:\n  ? [b]\n  : 1\n', /key has to be text/, { line: 2, col: 5 }],
    ['two documents', 'a: 1\n---\nb: 2\n', /second document/, { line: 2, col: 1 }],
    ['a bracket that is not closed', 'a: [1\n', /./, { line: 2, col: 1 }],
    ['depth', '['.repeat(65), /nested more than 64/, { line: 1, col: 66 }],
  ]
  for (const [name, text, message, place] of faulty) {
    it(`tells the place of ${name}`, () => {
      const lines = new LineCounter()
      const [fault] = readYaml(text, lines).faults
      assert.match(fault?.message ?? '', message)
      assert.deepEqual(lines.linePos(fault?.offset ?? -1), place)
    })
  }
})
