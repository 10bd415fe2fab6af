import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { maxDiagnostics, validateUserData } from '@edgesmith/user-data/validate'
import { maxDepth } from '@edgesmith/yaml/tokens'

const header = '#cloud-config\nstylus:\n  managementMode: local\n'

function rules(text: string): string[] {
  return validateUserData(text).map(({ code }) => code.replace('user-data.', ''))
}

/** Nine anchors, each a list of nine aliases of the one before: 9^8 values. */
function aliasBomb(): string {
  const lines = ['    a0: &a0 lol']
  for (let level = 1; level < 9; level += 1) {
    lines.push(
      `    a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    )
  }
  return `${header}  site:\n    tags:\n${lines.map((line) => `  ${line}`).join('\n')}\n`
}

describe('user-data: limits', () => {
  it('stops at an alias bomb', () => {
    assert.deepEqual(rules(aliasBomb()), ['alias-bomb'])
  })

  it('takes as many aliases as a person writes', () => {
    const aliases = Array.from({ length: 1000 }, (_, index) => `      t${index}: *city`).join('\n')
    assert.deepEqual(rules(`${header}  site:\n    tags:\n      t: &city chicago\n${aliases}\n`), [])
  })

  for (const [kind, open, close] of [
    ['lists', '[', ']'],
    ['mappings', '{ a: ', ' }'],
  ] as const) {
    // The mappings of the document, stylus, site and tags are the first four.
    const nested = (depth: number) =>
      `${header}  site:\n    tags:\n      a: ${open.repeat(depth - 4)}x${close.repeat(depth - 4)}\n`

    it(`takes ${kind} within ${kind} to the limit`, () => {
      assert.deepEqual(rules(nested(maxDepth)), [])
    })

    it(`stops at ${kind} nested one deeper`, () => {
      assert.deepEqual(rules(nested(maxDepth + 1)), ['too-deep'])
    })
  }

  for (const [kind, unit] of Object.entries({
    brackets: '[',
    braces: '{a: ',
    dashes: '- ',
    questions: '? ',
  })) {
    it(`stops at a file of ${kind}`, () => {
      const depth = Math.floor(1_000_000 / unit.length)
      assert.deepEqual(rules(`${header}x:\n  ${unit.repeat(depth)}`), ['too-deep'])
    })
  }

  it('stops at a file of tokens', () => {
    assert.deepEqual(rules(`${header}  x: [${'1,'.repeat(500_000)}]\n`), ['too-complex'])
  })

  it('reads a file near the limit that is data for the most part', () => {
    const content = `            ${'x'.repeat(100)}\n`.repeat(9_000)
    const step = `stages:\n  boot:\n    - files:\n        - path: /etc/a\n          content: |\n${content}`
    assert.deepEqual(rules(`${header}${step}`), [])
  })

  it('answers the gravest of very many faults', () => {
    const warnings = Array.from({ length: 2 * maxDiagnostics }, (_, index) => `    u${index}: 1\n`).join('')
    const diagnostics = validateUserData(`${header}  debug: 1\n  site:\n${warnings}`)
    assert.equal(diagnostics.length, maxDiagnostics)
    assert.equal(diagnostics.filter(({ severity }) => severity === 'error').length, 1)
  })

  it('answers a file of unknown fields in good time', () => {
    const fields = Array.from({ length: 20_000 }, (_, index) => `    unknown${index}: 1\n`).join('')
    const start = performance.now()
    assert.equal(validateUserData(`${header}  site:\n${fields}`).length, maxDiagnostics)
    assert.ok(performance.now() - start < 5_000)
  })

  it('does not slow down with PEM lines that never end', () => {
    const lines = '        -----BEGIN CERTIFICATE-----\n'.repeat(25_000)
    assert.deepEqual(rules(`${header}  site:\n    caCerts:\n      - |\n${lines}`), ['certificate'])
  })
})
