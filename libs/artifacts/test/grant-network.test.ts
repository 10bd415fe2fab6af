import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isInNetwork, parseNetwork } from '../src/grant-network.ts'

describe('networks of clients', () => {
  const written: [string, string | undefined][] = [
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.0/24', '203.0.113.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::/48', '2001:db8::/48'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['::ffff:203.0.113.0/120', '203.0.113.0/24'],
    ['::ffff:0:0/90', undefined],
    ['::1', '::1'],
    ['', undefined],
    ['localhost', undefined],
    ['203.0.113', undefined],
    ['203.0.113.007', undefined],
    ['203.0.113.256', undefined],
    ['203.0.113.0/33', undefined],
    ['203.0.113.0/', undefined],
    ['203.0.113.0/024', undefined],
    ['203.0.113.0/24/24', undefined],
    ['203.0.113.0/-1', undefined],
    ['2001:db8::/129', undefined],
    ['fe80::1%eth0', undefined],
    ['[::1]', undefined],
    [' 203.0.113.7', undefined],
    ['203.0.113.7\n', undefined],
  ]
  for (const [text, expected] of written) {
    it(`reads ${JSON.stringify(text)} as ${expected ?? 'no network'}`, () => {
      assert.equal(parseNetwork(text), expected)
      if (expected !== undefined) assert.equal(parseNetwork(expected), expected)
    })
  }

  const members: [network: string, address: string, isMember: boolean][] = [
    ['203.0.113.7', '203.0.113.7', true],
    ['203.0.113.7', '::ffff:203.0.113.7', true],
    ['203.0.113.7', '203.0.113.8', false],
    ['203.0.113.7', '::ffff:203.0.113.8', false],
    ['203.0.113.0/24', '203.0.113.255', true],
    ['203.0.113.0/24', '::ffff:cb00:71ff', true],
    ['203.0.113.0/24', '203.0.114.0', false],
    ['203.0.113.77/24', '203.0.113.1', true],
    ['203.0.113.128/25', '203.0.113.127', false],
    ['0.0.0.0/0', '198.51.100.1', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::1', '2001:0db8::0001', true],
    ['2001:db8::1', '2001:db8::2', false],
    ['2001:db8::/48', '2001:db8:0:ffff::1', true],
    ['2001:db8::/48', '2001:db8:1::1', false],
    ['::/0', '203.0.113.7', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['203.0.113.7', '', false],
    ['203.0.113.7', 'unknown', false],
  ]
  for (const [network, address, isMember] of members) {
    it(`finds ${JSON.stringify(address)} ${isMember ? 'in' : 'not in'} ${network}`, () => {
      assert.equal(isInNetwork(network, address), isMember)
    })
  }
})
