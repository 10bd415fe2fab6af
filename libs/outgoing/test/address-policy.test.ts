import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isPermitted, parseAllowance, type Allowance } from '../src/address-policy.ts'

const at = (address: string, host = address, port = 443) => ({ address, host, port })

function allowing(...texts: string[]): Allowance[] {
  return texts.map((text) => {
    const allowance = parseAllowance(text)
    assert.ok(allowance !== undefined, text)
    return allowance
  })
}

describe('isPermitted', () => {
  it('lets public addresses through', () => {
    for (const address of ['1.1.1.1', '93.184.216.34', '2606:4700:4700::1111', '::ffff:1.1.1.1'])
      assert.equal(isPermitted(at(address), []), true, address)
  })

  it('refuses every other address, however it is written', () => {
    const refused = [
      ...['127.0.0.1', '127.8.9.10', '::1', '0.0.0.0', '::', '10.0.0.1', '172.16.0.1', '172.31.255.255'],
      ...['192.168.1.1', '100.64.0.1', '169.254.169.254', 'fe80::1', 'fd00:ec2::254', 'fc00::1'],
      ...['224.0.0.1', '239.255.255.255', 'ff02::1', '255.255.255.255', '240.0.0.1', '198.18.0.1'],
      ...['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1'],
      // IPv4 inside IPv6: mapped, compatible, NAT64, 6to4, Teredo.
      ...['::ffff:127.0.0.1', '::ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::1', '2001::1'],
      ...['not-an-address', '', '1.2.3'],
    ]
    for (const address of refused) assert.equal(isPermitted(at(address), []), false, address)
  })

  it('permits what an allowance names, at its port alone', () => {
    const networks = allowing('10.1.0.0/16', '192.168.7.9:5000', '[fd12::1]:8443')
    assert.equal(isPermitted(at('10.1.2.3'), networks), true)
    assert.equal(isPermitted(at('::ffff:10.1.2.3'), networks), true)
    assert.equal(isPermitted(at('10.2.0.1'), networks), false)
    assert.equal(isPermitted(at('192.168.7.9', '192.168.7.9', 5000), networks), true)
    assert.equal(isPermitted(at('192.168.7.9', '192.168.7.9', 5001), networks), false)
    assert.equal(isPermitted(at('fd12::1', 'fd12::1', 8443), networks), true)
    const hosts = allowing('Registry.internal:5000')
    assert.equal(isPermitted(at('10.9.9.9', 'registry.internal', 5000), hosts), true)
    assert.equal(isPermitted(at('10.9.9.9', 'REGISTRY.internal.', 5000), hosts), true)
    assert.equal(isPermitted(at('10.9.9.9', 'registry.internal', 22), hosts), false)
    assert.equal(isPermitted(at('10.9.9.9', 'other.internal', 5000), hosts), false)
  })
})

describe('parseAllowance', () => {
  it('refuses what is no address, network or host', () => {
    for (const text of [
      '',
      '10.0.0.0/33',
      '300.1.1.1',
      'a b',
      'http://x',
      'x:0',
      'x:70000',
      '-a.b',
      '[::1',
      'a..b',
    ])
      assert.equal(parseAllowance(text), undefined, text)
  })
})
