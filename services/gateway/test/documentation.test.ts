import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startHarness, type Harness } from './harness.ts'

describe('The documentation', { timeout: 60_000 }, () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ corsOrigins: ['https://portal.example'] })
  })
  after(() => harness[Symbol.asyncDispose]())

  it('is a page of the service that needs nothing from elsewhere and no script of its own', async () => {
    const page = await fetch(`${harness.url}/docs/`)
    const html = await page.text()
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.equal(
      page.headers.get('content-security-policy'),
      "default-src 'self';img-src 'self' data:;object-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
    )
    assert.equal(page.headers.get('x-frame-options'), 'DENY')
    assert.doesNotMatch(html, /<script(?![^>]* src="\.\/)[^>]*>|<style|\son[a-z]+=|\sstyle=|https?:/)
    const parts = [...html.matchAll(/ (?:src|href)="([^"]+)"/g)].map(([, path = '']) => path)
    assert.ok(parts.length >= 4)
    for (const part of parts) {
      const { status, headers } = await fetch(new URL(part, `${harness.url}/docs/`))
      assert.equal(status, 200, part)
      assert.equal(headers.get('x-content-type-options'), 'nosniff')
    }
  })

  it('and what is passed on to other services can be called from origins that are listed', async () => {
    const headers = { origin: 'https://portal.example' }
    for (const path of ['/openapi.json', '/v1/artifacts/0198c0de-0000-7000-8000-000000000000']) {
      const answer = await fetch(`${harness.url}${path}`, { headers })
      assert.equal(answer.headers.get('access-control-allow-origin'), 'https://portal.example')
      const stranger = await fetch(`${harness.url}${path}`, { headers: { origin: 'https://other.example' } })
      assert.equal(stranger.headers.get('access-control-allow-origin'), null)
    }
  })
})
