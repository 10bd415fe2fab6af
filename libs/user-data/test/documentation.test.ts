import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { documentationOf, userDataRules } from '@edgesmith/user-data/catalogue'

const page = readFileSync(new URL('../../../docs/user-data.md', import.meta.url), 'utf8')
const row = /^\| <a id="([a-z0-9-]+)"><\/a>`([^`]+)`\s*\| (\S+)\s*\| (.+?)\s*\| (.+?)\s*\|$/gm

describe('docs/user-data.md', () => {
  it('lists every rule with its severity, what it asks for and its source, and no other', () => {
    const listed = [...page.matchAll(row)].map(([, , code, severity, summary, source]) => ({
      code,
      severity,
      summary,
      source,
    }))
    const rules = userDataRules.map(({ code, severity, summary, source }) => ({
      code,
      severity,
      summary,
      source,
    }))
    assert.deepEqual(listed, rules)
  })

  it('has an anchor where diagnostics link to', () => {
    const anchors = [...page.matchAll(row)].map(([, anchor]) => `docs/user-data.md#${anchor ?? ''}`)
    assert.deepEqual(
      anchors,
      userDataRules.map(({ code }) => documentationOf(code)),
    )
  })

  it('calls each rule by a name of its own', () => {
    assert.equal(new Set(userDataRules.map(({ code }) => code)).size, userDataRules.length)
  })
})
