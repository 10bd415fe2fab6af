import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { parseDigestHeader } from '../src/content-digest.ts'
import { isProblem } from './temporary-store.ts'

const sha256 = createHash('sha256').update('{"hello": "world"}').digest()
const sha512 = createHash('sha512').update('{"hello": "world"}').digest()
const field = (name: string, value: Buffer) => `${name}=:${value.toString('base64')}:`

describe('parseDigestHeader', () => {
  it('reads the example of RFC 9530', () => {
    const header = 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'
    assert.deepEqual(parseDigestHeader('Repr-Digest', header), [{ algorithm: 'sha-256', value: sha256 }])
  })

  it('reads several, and leaves out algorithms that are not verified', () => {
    const header = `md5=:AAAA:, ${field('sha-512', sha512)},unixsum=3;x=1 , ${field('sha-256', sha256)}`
    assert.deepEqual(parseDigestHeader('Content-Digest', header), [
      { algorithm: 'sha-512', value: sha512 },
      { algorithm: 'sha-256', value: sha256 },
    ])
  })

  for (const header of [
    '',
    'sha-256',
    'sha-256=',
    `sha-256=${sha256.toString('base64')}`,
    `sha-256=:${sha256.toString('base64')}`,
    `sha-256="${sha256.toString('hex')}"`,
    field('sha-256', sha512),
    field('SHA-256', sha256),
    field('md5', sha256.subarray(0, 16)),
    `${field('sha-256', sha256)},`,
    `sha-256=(${field('sha-256', sha256)})`,
    `sha-256=:${'*'.repeat(43)}=:`,
    `${field('sha-256', sha256)} trailing`,
  ]) {
    it(`refuses ${JSON.stringify(header)}`, () => {
      assert.throws(() => parseDigestHeader('Content-Digest', header), isProblem('malformed-request'))
    })
  }
})
