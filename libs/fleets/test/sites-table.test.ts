import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readSitesTable, valuesOf } from '../src/sites-table.ts'

const id = `sha256:${'a'.repeat(64)}`
const other = `sha256:${'b'.repeat(64)}`

function read(text: string) {
  return readSitesTable(Buffer.from(text))
}

function codesOf(text: string): [string, string | undefined, number | undefined][] {
  return read(text).diagnostics.map(({ code, pointer, line }) => [code, pointer, line])
}

describe('readSitesTable', () => {
  it('reads CSV with a byte order mark, CRLF and quoted fields', () => {
    const { rows, diagnostics } = read(
      `\ufeffsite,token,note\r\nstore-1,00123,"a, ""b""\r\nc"\r\n\r\nstore-2,yes,\r\n`,
    )
    assert.deepEqual(diagnostics, [])
    assert.deepEqual(rows, [
      { site: { name: 'store-1', values: { token: '00123', note: 'a, "b"\r\nc' } }, index: 0, line: 2 },
      { site: { name: 'store-2', values: { token: 'yes', note: '' } }, index: 1, line: 5 },
    ])
  })

  it('reads files and labels of a site, and takes "name" for "site"', () => {
    const { rows, diagnostics } = read(
      `name,label.region,input.publicKey,input.contentBundle\na,emea,${id},${id} ${other}\nb,,,\n`,
    )
    assert.deepEqual(diagnostics, [])
    assert.deepEqual(
      rows.map(({ site }) => site),
      [
        {
          name: 'a',
          values: {},
          labels: { region: 'emea' },
          inputs: { publicKey: { upload: id }, contentBundles: [{ upload: id }, { upload: other }] },
        },
        { name: 'b', values: {} },
      ],
    )
  })

  it('reads a JSON array, numbers and booleans as they are', () => {
    const { rows } = read('[{"name":"a","values":{"mtu":9000,"on":true}}]')
    assert.deepEqual(
      [...valuesOf(rows[0]?.site ?? { name: '' })],
      [
        ['mtu', 9000],
        ['on', true],
        ['site', 'a'],
      ],
    )
  })

  it('tells every fault with its row and line', () => {
    assert.deepEqual(codesOf('site,x\nA,1\nb,2\nb,3\n-c,4\n'), [
      ['sites.schema', '/sites/0/name', 2],
      ['sites.duplicate', '/sites/2/name', 4],
      ['sites.schema', '/sites/3/name', 5],
    ])
    assert.deepEqual(codesOf('site,x\na\nb,1,2\n'), [
      ['sites.fields', '/sites/0', 2],
      ['sites.fields', '/sites/1', 3],
    ])
    assert.deepEqual(codesOf('site,x\na,"open\n'), [['sites.syntax', undefined, 2]])
    assert.deepEqual(codesOf('x,x,input.userData,a b\n1,2,3,4\n'), [
      ['sites.header', undefined, 1],
      ['sites.header', '/header/1', 1],
      ['sites.header', '/header/2', 1],
      ['sites.header', '/header/3', 1],
    ])
    assert.deepEqual(codesOf(`site,input.publicKey\na,${id} ${id}\n`), [
      ['sites.schema', '/sites/0/inputs/publicKey/upload', 2],
    ])
  })

  it('refuses a table that is empty, too long, or not text', () => {
    assert.deepEqual(codesOf(''), [['sites.empty', undefined, undefined]])
    assert.deepEqual(codesOf('site\n'), [['sites.empty', '/sites', undefined]])
    assert.deepEqual(codesOf('[]'), [['sites.empty', '/sites', undefined]])
    assert.deepEqual(codesOf('[{]'), [['sites.syntax', undefined, undefined]])
    const rows = Array.from({ length: 10_001 }, (_, index) => `s${index}\n`).join('')
    assert.deepEqual(codesOf(`site\n${rows}`), [['sites.too-many', '/sites', undefined]])
    assert.deepEqual(
      readSitesTable(Buffer.from('site\nä\n', 'latin1')).diagnostics.map(({ code }) => code),
      ['sites.encoding'],
    )
  })

  it('keeps the name of the site to itself', () => {
    assert.deepEqual(codesOf('[{"name":"a","values":{"site":"b"}}]'), [
      ['sites.reserved', '/sites/0/values/site', undefined],
    ])
  })
})
