import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { argumentDocumentation } from '../src/argument-documentation.ts'
import { argumentCatalogue } from '../src/argument-catalogue.ts'

const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8')

describe('docs/arguments.md', () => {
  it('is what the catalogue says', async () => {
    assert.equal(
      await read('../../../docs/arguments.md'),
      argumentDocumentation(),
      'run: node libs/canvos/scripts/write-documentation.ts',
    )
  })

  it('explains every code that the sources tell', async () => {
    const sources = await Promise.all(
      (await readdir(new URL('../src', import.meta.url)))
        .filter((name) => name !== 'argument-documentation.ts')
        .map((name) => read(`../src/${name}`)),
    )
    const text = sources.join('\n')
    const told = [
      ...text.matchAll(/'((?:arg-file|arguments)\.[a-z0-9-]+)'/g),
      ...text.matchAll(/\b(?:fault\(|code: )'([a-z-]+)'/g),
    ].map(([, code = '']) => (code.includes('.') ? code : `arg-file.${code}`))
    assert.ok(told.length > 50, `${told.length} codes`)
    const documentation = argumentDocumentation()
    for (const code of told) assert.ok(documentation.includes(`\`${code}\``), code)
  })

  it('has an anchor for every argument', () => {
    const documentation = argumentDocumentation()
    for (const { name } of argumentCatalogue)
      assert.ok(documentation.includes(`<a id="${name.toLowerCase()}"></a>`), name)
  })
})
