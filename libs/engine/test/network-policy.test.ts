import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { localAddresses } from '@edgesmith/engine/network-facts'
import { networkRules, parseDestination, type NetworkFacts } from '@edgesmith/engine/network-policy'

const facts: NetworkFacts = {
  services: [{ address: '10.0.0.5', port: 6379 }],
  hostAddresses: ['192.0.2.2', '172.17.0.1'],
  containerNetworks: ['172.17.0.0/16', '172.20.0.0/16'],
  clientNetworks: ['172.20.0.0/16'],
  listed: [{ address: '172.17.0.1', port: 8000 }, { address: '10.9.9.9' }, { cidr: '10.8.0.0/16' }],
  registries: [{ address: '172.17.0.1', port: 5055 }],
}

/** What becomes of a new TCP connection from a step, or from the daemon itself. */
function verdict(rules: string, chain: 'FORWARD' | 'OUTPUT', address: string, port: number): string {
  for (const rule of rules.split('\n').filter((line) => line.startsWith(`-A ${chain} `))) {
    const words = rule.split(' ')
    const option = (name: string) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined)
    if (['--ctstate', '-i', '-o'].some((name) => words.includes(name))) continue
    if (option('-p') === 'udp') continue
    if (option('--dport') !== undefined && option('--dport') !== String(port)) continue
    const network = option('-d')
    if (network !== undefined && !contains(network, address)) continue
    const target = option('-j') ?? ''
    if (target === 'ACCEPT' || target === 'refuse') return target
    const inner = verdict(rules, target as 'OUTPUT', address, port)
    if (inner !== 'none') return inner
  }
  return 'none'
}

function contains(network: string, address: string): boolean {
  const [base = '', length = '32'] = network.split('/')
  const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const size = 2 ** (32 - Number(length))
  return Math.floor(number(base) / size) === Math.floor(number(address) / size)
}

describe('The rules of the network policy', () => {
  for (const kind of ['public', 'listed', 'open'] as const) {
    it(`never let anybody reach metadata services, Redis, the host or its containers: ${kind}`, () => {
      const greedy = {
        ...facts,
        listed: [...facts.listed, { address: '10.0.0.5', port: 6379 }, { cidr: '0.0.0.0/0' }],
      }
      const { iptables } = networkRules(kind, 8372, greedy)
      for (const chain of ['FORWARD', 'OUTPUT'] as const) {
        for (const [address, port] of [
          ['169.254.169.254', 80],
          ['169.254.1.1', 443],
          ['100.100.100.200', 80],
          ['10.0.0.5', 6379],
          ['10.0.0.5', 443],
          ['192.0.2.2', 443],
          ['172.17.0.1', 2375],
          ['172.20.0.9', 443],
        ] as const) {
          assert.equal(verdict(iptables, chain, address, port), 'refuse', `${chain} ${address}:${port}`)
        }
      }
    })
  }

  it('let all reach what is listed, and the daemon alone its registries', () => {
    for (const kind of ['public', 'listed'] as const) {
      const { iptables } = networkRules(kind, 8372, facts)
      for (const chain of ['FORWARD', 'OUTPUT'] as const) {
        assert.equal(verdict(iptables, chain, '172.17.0.1', 8000), 'ACCEPT')
        assert.equal(verdict(iptables, chain, '10.9.9.9', 22), 'ACCEPT')
        assert.equal(verdict(iptables, chain, '10.8.1.2', 22), 'ACCEPT')
        assert.equal(verdict(iptables, chain, '10.7.1.2', 443), 'refuse')
      }
      assert.equal(verdict(iptables, 'OUTPUT', '172.17.0.1', 5055), 'ACCEPT')
      assert.equal(verdict(iptables, 'FORWARD', '172.17.0.1', 5055), 'refuse')
    }
  })

  it('let public builds reach the internet at 80 and 443, listed ones nothing of it, open ones all', () => {
    const reached = (kind: 'public' | 'listed' | 'open', port: number, address = '8.8.8.8') =>
      verdict(networkRules(kind, 8372, facts).iptables, 'FORWARD', address, port)
    assert.deepEqual(
      [80, 443, 22].map((port) => reached('public', port)),
      ['ACCEPT', 'ACCEPT', 'refuse'],
    )
    assert.deepEqual(
      [80, 443, 22].map((port) => reached('listed', port)),
      ['refuse', 'refuse', 'refuse'],
    )
    assert.deepEqual(
      [80, 443, 22].map((port) => reached('open', port)),
      ['ACCEPT', 'ACCEPT', 'ACCEPT'],
    )
    assert.equal(reached('public', 443, '192.168.1.1'), 'refuse')
    assert.equal(reached('open', 443, '192.168.1.1'), 'ACCEPT')
  })

  it('read networks, hosts and ports', () => {
    assert.deepEqual(parseDestination('10.1.0.0/16'), { kind: 'network', cidr: '10.1.0.0/16' })
    assert.deepEqual(parseDestination('proxy.example.com:3128'), {
      kind: 'host',
      host: 'proxy.example.com',
      port: 3128,
    })
    assert.deepEqual(parseDestination('10.1.0.1'), { kind: 'host', host: '10.1.0.1' })
    for (const text of ['', '10.1.0.0/33', 'a b', 'host:0', 'host:70000', '10.0.0.0/8/8', 'x -j ACCEPT']) {
      assert.throws(() => parseDestination(text), TypeError, text)
    }
  })

  it('know the addresses of a machine by its routes', () => {
    const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
`
    assert.deepEqual(localAddresses(trie), ['192.0.2.2'])
  })
})
