import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parse } from 'yaml'
import { Renderer } from '../src/render.ts'

type Value = string | number | boolean

function rendererOf(template: string): Renderer {
  const { renderer, diagnostics } = Renderer.of(template)
  assert.deepEqual(diagnostics, [])
  assert.ok(renderer)
  return renderer
}

function render(template: string, values: Record<string, Value>): string {
  const { text, faults } = rendererOf(template).render(new Map(Object.entries(values)))
  assert.ok(faults === undefined, JSON.stringify(faults))
  return text
}

function faultsOf(template: string, values: Record<string, Value>) {
  return rendererOf(template).render(new Map(Object.entries(values))).faults ?? []
}

const template = `#cloud-config
# for {{site}}
stylus:
  site:
    name: {{site}}
    greeting: Hello {{value}}, welcome
    'single {{value}}': 'it''s {{value}}'
    double: "say \\"{{value}}\\"\\n"
    list: [{{value}}, "{{ value }}", x{{value}}]
    {{value}}: key
    literal: |
      first
        {{value}}
      NAME={{value}} # no comment
    folded: >-
      folded {{value}}
      text
    kept: !!str {{value}}
  other: true
`

function expected(value: string) {
  return {
    stylus: {
      site: {
        name: 'store-1',
        greeting: `Hello ${value}, welcome`,
        [`single ${value}`]: `it's ${value}`,
        double: `say "${value}"\n`,
        list: [value, value, `x${value}`],
        [value]: 'key',
        literal: `first\n  ${value}\nNAME=${value} # no comment\n`,
        folded: `folded ${value} text`,
        kept: value,
      },
      other: true,
    },
  }
}

const hostile = [
  '',
  ' ',
  'yes',
  'null',
  '~',
  '00123',
  '0x1F',
  '1e3',
  '.inf',
  '2026-03-14',
  '<<',
  '- item',
  'a: b',
  'a #b',
  '#b',
  '{{site}}',
  '{{{x}}}',
  '"',
  "'",
  '\\',
  '\\n',
  'a\nb: c',
  '\n---\n',
  '\r\n',
  ' \t lead and trail \t ',
  '*alias',
  '&anchor',
  '!tag',
  '|',
  '>',
  '%YAML 1.1',
  '@',
  '`',
  ']',
  '}',
  ',',
  '\u0000',
  '\u0085',
  '\u2028',
  '\ufeff',
  'żółć',
  '😀',
  '${HOME} $(id)',
  'valueOfSite000000',
  'y'.repeat(200),
]

describe('Renderer', () => {
  it('gives each value exactly, wherever it stands', () => {
    for (const value of hostile) {
      assert.deepEqual(
        parse(render(template, { site: 'store-1', value })),
        expected(value),
        JSON.stringify(value),
      )
    }
  })

  it('gives any value exactly', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.string({ unit: fc.constantFrom(...'ab \n\t:#-"\'\\{}[]|>&*!%@`,?~01.='.split(/(?:)/u)) }),
    )
    fc.assert(
      fc.property(value, (text) => {
        // Keys have to differ from the template's own.
        fc.pre(!(text in expected('').stylus.site) && !text.startsWith('single'))
        assert.deepEqual(parse(render(template, { site: 'store-1', value: text })), expected(text))
      }),
      { numRuns: 2000 },
    )
  })

  it('renders a block as it is where the value allows it', () => {
    const text = render('run: |\n  set -e\n  hostnamectl set-hostname {{site}}\n', { site: 'store-1' })
    assert.equal(text, 'run: |\n  set -e\n  hostnamectl set-hostname store-1\n')
  })

  it('keeps numbers and booleans that stand alone', () => {
    const text = render('mtu: {{mtu}}\ntext: "{{mtu}}"\npart: a{{mtu}}\non: {{on}}\nblock: |\n  {{on}}\n', {
      mtu: 9000,
      on: true,
    })
    assert.deepEqual(parse(text), { mtu: 9000, text: '9000', part: 'a9000', on: true, block: 'true\n' })
  })

  it('takes and leaves sections', () => {
    const sections = `name: {{site}}
{{#proxy}}
proxy: {{proxy}}
{{/proxy}}
{{^proxy}}
direct: true
{{/proxy}}
`
    assert.deepEqual(parse(render(sections, { site: 'a', proxy: 'http://p:3128' })), {
      name: 'a',
      proxy: 'http://p:3128',
    })
    assert.deepEqual(parse(render(sections, { site: 'a', proxy: '' })), { name: 'a', direct: true })
  })

  it('names every value that is missing, also in sections that are left out', () => {
    assert.deepEqual(faultsOf('a: {{one}}\n{{#two}}\nb: {{three}}\n{{/two}}\n', { two: '' }), [
      { kind: 'missing-value', name: 'one', line: 1 },
      { kind: 'missing-value', name: 'three', line: 3 },
    ])
    assert.deepEqual(faultsOf('a: {{constructor}}\n', {}), [
      { kind: 'missing-value', name: 'constructor', line: 1 },
    ])
  })

  it('refuses a line end in a comment', () => {
    const [fault] = faultsOf('# {{note}}\na: b\n', { note: 'x\nc: d' })
    assert.equal(fault?.kind, 'value')
    assert.equal(fault.name, 'note')
  })

  it('refuses a value that makes two keys equal', () => {
    assert.equal(faultsOf('a: 1\n{{key}}: 2\n', { key: 'a' })[0]?.kind, 'value')
  })

  it('tells every fault of a template, with its line', () => {
    const { diagnostics } = Renderer.of(
      'a: {{{x}}}\nb: {{&y}}\nc: {{>z}}\nd: {{a.b}}\ne: {{.}}\n{{=<% %>=}}\n',
    )
    assert.deepEqual(
      diagnostics.map(({ code, line }) => [code, line]),
      [
        ['template.unquoted', 1],
        ['template.unquoted', 2],
        ['template.partial', 3],
        ['template.name', 4],
        ['template.name', 5],
        ['template.delimiters', 6],
      ],
    )
    const unclosed = Renderer.of('a: b\n{{#open}}\n').diagnostics
    assert.deepEqual(
      unclosed.map(({ code }) => code),
      ['template.syntax'],
    )
  })

  it('tells where a template is not YAML, and where a value cannot stand', () => {
    const codes = (text: string) =>
      faultsOf(text, { x: 'v' }).map((fault) =>
        fault.kind === 'template' ? fault.diagnostic.code : fault.kind,
      )
    assert.deepEqual(codes('a: [{{x}}\nb: c\n').slice(0, 1), ['template.yaml'])
    assert.deepEqual(codes('a: &{{x}} b\n'), ['template.misplaced'])
    assert.deepEqual(codes('a: "\\{{x}}"\n'), ['template.misplaced'])
  })
})
