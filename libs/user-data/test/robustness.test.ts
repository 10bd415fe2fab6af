import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { userDataSchema } from '@edgesmith/user-data/schema/user-data'
import { valueAt } from '@edgesmith/user-data/path'
import { parseDocument } from '@edgesmith/user-data/document'
import { validateUserData } from '@edgesmith/user-data/validate'

const directory = new URL('./fixtures/samples/', import.meta.url)
const samples = readdirSync(directory).map((name) => readFileSync(new URL(name, directory), 'utf8'))

/** Every diagnostic lies within the text, and points at a value or at where one should be. */
function checkPlaces(text: string): void {
  const lines = text.split('\n')
  for (const { line = 1, column = 1, code } of validateUserData(text)) {
    const characters = Array.from(lines[line - 1] ?? '').length
    assert.ok(line <= lines.length && column <= characters + 1, `${code} at ${line}:${column}`)
  }
}

describe('user-data: robustness', () => {
  it('answers any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), checkPlaces))
  })

  it('answers any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        validateUserData(bytes)
      }),
    )
  })

  it('answers samples with a piece cut out or put in', () => {
    const piece = fc.constantFrom(
      '',
      '\t',
      '- ',
      ': ',
      '*a',
      '&a ',
      '[',
      '{',
      '"',
      '|\n',
      '\n',
      '? ',
      '<<: ',
      '!!x ',
      '\u0000',
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.nat(2000),
        fc.nat(20),
        piece,
        (text, at, length, inserted) => {
          const start = at % text.length
          checkPlaces(text.slice(0, start) + inserted + text.slice(start + length))
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('answers documents whose known fields hold anything', () => {
    const blocks = ['stylus', 'install', 'stages', 'users', 'bundles', 'k3s'] as const
    const fields = Object.keys(userDataSchema.properties.stylus.properties)
    const anything = fc.jsonValue({ maxDepth: 4 })
    const document = fc.dictionary(fc.constantFrom(...blocks), anything)
    const stylus = fc.dictionary(fc.constantFrom(...fields, 'site'), anything)
    fc.assert(
      fc.property(document, stylus, (others, agent) => {
        checkPlaces(`#cloud-config\n${stringify({ ...others, stylus: agent })}`)
      }),
    )
  })

  it('reads values as they were written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 3 })), (document) => {
        const { tree, faults } = parseDocument(stringify(document, { aliasDuplicateObjects: false }))
        fc.pre(faults.length === 0)
        for (const [key, value] of Object.entries(document)) {
          assert.equal(JSON.stringify(valueAt(tree?.value, [key])), JSON.stringify(value))
        }
      }),
    )
  })
})
