import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { signDownloadUrl, verifyDownloadUrl } from '../src/signed-url.ts'

const key = 'a-key-that-is-long-enough-to-be-one'
const artifactId = '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22'
const expires = 1773484013
const before = new Date((expires - 60) * 1000)
const afterwards = new Date((expires + 60) * 1000)

function sign(changes: Partial<Parameters<typeof signDownloadUrl>[0]> = {}) {
  return signDownloadUrl({
    baseUrl: 'https://edge.example.com',
    artifactId,
    name: 'installer.iso',
    expiresAt: new Date(expires * 1000),
    key,
    ...changes,
  })
}

/** Verifies a URL as the service would take it apart, with changes to its parts. */
function verify(url: string, changes: Partial<Parameters<typeof verifyDownloadUrl>[0]> = {}) {
  const { pathname, searchParams } = new URL(url)
  const [id = '', name = ''] = pathname.split('/').slice(-2).map(decodeURIComponent)
  return verifyDownloadUrl({
    artifactId: id,
    name,
    expires: Number(searchParams.get('expires')),
    signature: searchParams.get('signature') ?? '',
    keys: [key],
    now: before,
    ...changes,
  })
}

describe('signed download URLs', () => {
  it('are made of the artifact, its name, the expiry and a signature', () => {
    const signature = createHmac('sha256', key)
      .update(`["edgesmith-download-v1","${artifactId}","installer.iso",${expires}]`)
      .digest('base64url')
    assert.deepEqual(sign(), {
      url: `https://edge.example.com/v1/downloads/${artifactId}/installer.iso?expires=${expires}&signature=${signature}`,
      expiresAt: '2026-03-14T10:26:53.000Z',
    })
  })

  it('lie under the base URL, with a path or without', () => {
    const path = `/v1/downloads/${artifactId}/installer.iso`
    for (const [baseUrl, expected] of [
      ['http://127.0.0.1:8083', path],
      ['http://127.0.0.1:8083/', path],
      ['https://example.com/edge', `/edge${path}`],
      ['https://example.com/edge/', `/edge${path}`],
    ] as const) {
      const { url } = sign({ baseUrl })
      assert.equal(new URL(url).pathname, expected)
      assert.ok(url.startsWith(baseUrl))
      assert.equal(verify(url), 'ok')
    }
  })

  it('take any file name', () => {
    for (const name of ['a+b_c-d.iso', 'a b', 'ä/ö', '?', '#', '%2e', '../x', '"']) {
      assert.equal(verify(sign({ name }).url), 'ok')
    }
  })

  it('are valid until the second they expire', () => {
    const { url } = sign()
    assert.equal(verify(url, { now: new Date(expires * 1000 - 1) }), 'ok')
    assert.equal(verify(url, { now: new Date(expires * 1000) }), 'expired')
    assert.equal(verify(url, { now: afterwards }), 'expired')
  })

  it('expire at a whole second, and say which', () => {
    const { url, expiresAt } = sign({ expiresAt: new Date(expires * 1000 + 999) })
    assert.equal(expiresAt, new Date(expires * 1000).toISOString())
    assert.equal(new URL(url).searchParams.get('expires'), String(expires))
  })

  const alterations: [string, Partial<Parameters<typeof verifyDownloadUrl>[0]>][] = [
    ['another artifact', { artifactId: '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d23' }],
    ['another name', { name: 'installer.raw' }],
    ['a later expiry', { expires: expires + 3600 }],
    ['an earlier expiry', { expires: expires - 1 }],
    ['an expiry that is no number', { expires: Number.NaN }],
    ['a moved boundary between id and name', { artifactId: `${artifactId}/i`, name: 'nstaller.iso' }],
    ['no signature', { signature: '' }],
    ['a signature of other text', { signature: 'ä'.repeat(43) }],
    ['another key', { keys: ['another-key-that-is-long-enough-too'] }],
    ['no keys', { keys: [] }],
  ]
  for (const [name, changes] of alterations) {
    it(`are invalid with ${name}, whether or not they have expired`, () => {
      const { url } = sign()
      assert.equal(verify(url, changes), 'invalid')
      assert.equal(verify(url, { ...changes, now: afterwards }), 'invalid')
    })
  }

  it('are invalid with any character of the signature altered, left out or added', () => {
    const { url } = sign()
    const signature = new URL(url).searchParams.get('signature') ?? ''
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (let index = 0; index < signature.length; index += 1) {
      const [head, tail] = [signature.slice(0, index), signature.slice(index + 1)]
      for (const character of alphabet.replace(signature.charAt(index), '')) {
        assert.equal(verify(url, { signature: head + character + tail }), 'invalid')
      }
      assert.equal(verify(url, { signature: head + tail }), 'invalid')
    }
    assert.equal(verify(url, { signature: `${signature}=` }), 'invalid')
  })

  it('of another artifact do not open this one', () => {
    const other = new URL(sign({ artifactId: '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d23' }).url)
    const signature = other.searchParams.get('signature') ?? ''
    assert.equal(verify(sign().url, { signature }), 'invalid')
  })

  it('stay valid while the key they were signed with is still listed', () => {
    const { url } = sign()
    assert.equal(verify(url, { keys: ['the-newest-key-that-signs-from-now-on', key] }), 'ok')
    assert.equal(
      verify(url, { keys: ['the-newest-key-that-signs-from-now-on', key], now: afterwards }),
      'expired',
    )
    assert.equal(verify(url, { keys: ['the-newest-key-that-signs-from-now-on'] }), 'invalid')
  })
})
