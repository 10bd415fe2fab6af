import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { layoutRules } from '@edgesmith/canvos/input-fault'
import { inputDocumentation } from '../src/input-documentation.ts'
import { inputRules } from '../src/input-rules.ts'

describe('docs/inputs.md', () => {
  it('is what the rules say', async () => {
    const written = await readFile(new URL('../../../docs/inputs.md', import.meta.url), 'utf8')
    assert.equal(written, inputDocumentation(), 'run: node libs/inputs/scripts/write-documentation.ts')
  })

  it('has an anchor for every rule', () => {
    const documentation = inputDocumentation()
    for (const code of Object.keys({ ...layoutRules, ...inputRules })) {
      assert.ok(documentation.includes(`<a id="${code.replace('.', '-')}"></a>`), code)
    }
  })

  it('has no rule that nothing tells and no test expects', async () => {
    const read = async (directory: string) => {
      const url = new URL(directory, import.meta.url)
      const names = (await readdir(url)).filter((name) => name !== 'input-rules.ts' && name.endsWith('.ts'))
      return (await Promise.all(names.map((name) => readFile(new URL(name, url), 'utf8')))).join('\n')
    }
    const [sources, tests] = [await read('../src/'), await read('./')]
    for (const code of Object.keys(inputRules)) {
      assert.ok(sources.includes(`'${code}'`), `${code} is told`)
      assert.ok(tests.includes(code), `${code} has a test`)
    }
  })
})
