import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readEnvironment } from '@edgesmith/service/environment'
import { isPermitted } from '../src/address-policy.ts'
import { outgoingVariables, toAllowances } from '../src/settings.ts'

describe('OUTGOING_ALLOW', () => {
  const read = (text?: string) => {
    const faults: string[] = []
    const source = text === undefined ? {} : { OUTGOING_ALLOW: text }
    return { allowances: toAllowances(readEnvironment(outgoingVariables, source), faults), faults }
  }

  it('allows what it lists, and nothing when it is not set', () => {
    const { allowances, faults } = read('10.1.0.0/16, login.corp.example.com:443,[fd00::1]:8443')
    assert.deepEqual(faults, [])
    const inside = { host: 'login.corp.example.com', address: '192.168.1.1', port: 443 }
    assert.ok(isPermitted(inside, allowances))
    assert.ok(!isPermitted({ ...inside, port: 80 }, allowances))
    assert.ok(!isPermitted(inside, read().allowances))
  })

  it('has each entry that is none told', () => {
    const { faults } = read('10.0.0.0/8,https://x.example.com,10.0.0.0/64,a b,host:99999')
    assert.equal(faults.length, 4)
    assert.match(faults[0] ?? '', /^OUTGOING_ALLOW has "https:\/\/x\.example\.com", which is no address/)
  })
})
