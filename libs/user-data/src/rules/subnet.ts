import { BlockList, isIP } from 'node:net'

/** An IP address, and the length of its prefix where it is written with one. */
export type Address = { address: string; version: 4 | 6; prefix?: number }

/** Parses `10.0.10.25/24`, `10.0.10.25` and their IPv6 forms; undefined for anything else. */
export function parseAddress(text: string): Address | undefined {
  const [address = '', prefix, ...rest] = text.split('/')
  const version = isIP(address)
  if ((version !== 4 && version !== 6) || rest.length > 0) return undefined
  if (prefix === undefined) return { address, version }
  const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Infinity
  return bits <= (version === 4 ? 32 : 128) ? { address, version, prefix: bits } : undefined
}

/** The length of a mask, `255.255.255.0` or `24`; undefined for anything else. */
export function parseMask(text: string): number | undefined {
  if (/^\d{1,3}$/.test(text)) return Number(text) <= 128 ? Number(text) : undefined
  if (isIP(text) !== 4) return undefined
  const bits = text
    .split('.')
    .map((byte) => Number(byte).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : undefined
}

/** True when an address lies within the subnet of another. */
export function subnetContains(subnet: Required<Address>, other: string): boolean {
  const family = subnet.version === 4 ? 'ipv4' : 'ipv6'
  if (isIP(other) !== subnet.version) return false
  const block = new BlockList()
  block.addSubnet(subnet.address, subnet.prefix, family)
  return block.check(other, family)
}

/** Says whether an IPv4 address is the network or the broadcast address of its subnet. */
export function subnetEdge({
  address,
  version,
  prefix,
}: Required<Address>): 'network' | 'broadcast' | undefined {
  if (version !== 4 || prefix > 30) return undefined
  const bits = address
    .split('.')
    .map((byte) => Number(byte).toString(2).padStart(8, '0'))
    .join('')
    .slice(prefix)
  if (!bits.includes('1')) return 'network'
  return bits.includes('0') ? undefined : 'broadcast'
}
