import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { isSigned, signDownloadUrl, type DownloadGrant } from '../src/signed-url.ts'

const key = 'a-key-that-is-long-enough-to-be-one'
const newerKey = 'the-newest-key-that-signs-from-now-on'
const baseUrl = 'https://edge.example.com'
const artifactId = '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22'
const grantId = '01939c70-4c1b-7d9a-b8a5-6d2f0e7c5a10'
const project = { tenant: 'acme', project: 'stores' }
const plain: DownloadGrant = {
  project,
  artifactId,
  name: 'installer.iso',
  method: 'GET',
  expires: 1773484013,
}
const limited: DownloadGrant = { ...plain, grant: grantId, limit: 3, client: '203.0.113.0/24' }

function signatureOf(grant: DownloadGrant): string {
  return new URL(signDownloadUrl(grant, { baseUrl, key })).searchParams.get('signature') ?? ''
}

describe('signed download URLs', () => {
  it('are made of all they allow and a signature of it', () => {
    const signature = createHmac('sha256', key)
      .update(
        `["edgesmith-download-v3","acme/stores","HEAD","${artifactId}","installer.iso",1773484013,"${grantId}",3,"203.0.113.0/24"]`,
      )
      .digest('base64url')
    assert.equal(
      signDownloadUrl({ ...limited, method: 'HEAD' }, { baseUrl, key }),
      `${baseUrl}/v1/downloads/${artifactId}/installer.iso?project=acme%2Fstores&expires=1773484013&method=HEAD&grant=${grantId}&limit=3&client=203.0.113.0%2F24&signature=${signature}`,
    )
  })

  it('name no limits that they do not have', () => {
    const { searchParams } = new URL(signDownloadUrl(plain, { baseUrl, key }))
    assert.deepEqual([...searchParams.keys()], ['project', 'expires', 'signature'])
    assert.ok(isSigned(plain, searchParams.get('signature') ?? '', [key]))
  })

  it('lie under the base URL, with a path or without', () => {
    const path = `/v1/downloads/${artifactId}/installer.iso`
    for (const [base, expected] of [
      ['http://127.0.0.1:8083', path],
      ['http://127.0.0.1:8083/', path],
      ['https://example.com/edge', `/edge${path}`],
      ['https://example.com/edge/', `/edge${path}`],
    ] as const) {
      assert.equal(new URL(signDownloadUrl(plain, { baseUrl: base, key })).pathname, expected)
    }
  })

  const alterations: [string, Partial<DownloadGrant>][] = [
    ['another artifact', { artifactId: '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d23' }],
    ['another name', { name: 'installer.raw' }],
    ['a moved boundary between id and name', { artifactId: `${artifactId}/i`, name: 'nstaller.iso' }],
    ['another method', { method: 'HEAD' }],
    ['a later expiry', { expires: plain.expires + 3600 }],
    ['an earlier expiry', { expires: plain.expires - 1 }],
    ['an expiry that is no number', { expires: Number.NaN }],
    ['another grant', { grant: '01939c70-4c1b-7d9a-b8a5-6d2f0e7c5a11' }],
    ['no grant', { grant: undefined }],
    ['a higher limit', { limit: 4 }],
    ['no limit', { limit: undefined }],
    ['a wider network', { client: '203.0.0.0/16' }],
    ['no network', { client: undefined }],
  ]
  for (const [name, changes] of alterations) {
    it(`are not signed with ${name}`, () => {
      assert.ok(isSigned(limited, signatureOf(limited), [key]))
      assert.ok(!isSigned({ ...limited, ...changes }, signatureOf(limited), [key]))
    })
  }

  it('are not signed with a limit that was added', () => {
    for (const added of [{ grant: grantId }, { limit: 3 }, { client: '203.0.113.0/24' }]) {
      assert.ok(!isSigned({ ...plain, ...added }, signatureOf(plain), [key]))
    }
  })

  it('are not signed with any character of the signature altered, left out or added', () => {
    const signature = signatureOf(plain)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (let index = 0; index < signature.length; index += 1) {
      const [head, tail] = [signature.slice(0, index), signature.slice(index + 1)]
      for (const character of alphabet.replace(signature.charAt(index), '')) {
        assert.ok(!isSigned(plain, head + character + tail, [key]))
      }
      assert.ok(!isSigned(plain, head + tail, [key]))
    }
    for (const other of ['', `${signature}=`, 'ä'.repeat(43)]) assert.ok(!isSigned(plain, other, [key]))
  })

  it('stay signed while the key they were signed with is still listed', () => {
    const signature = signatureOf(plain)
    assert.ok(isSigned(plain, signature, [newerKey, key]))
    assert.ok(!isSigned(plain, signature, [newerKey]))
    assert.ok(!isSigned(plain, signature, []))
  })
})
