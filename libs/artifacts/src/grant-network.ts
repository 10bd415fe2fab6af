import { BlockList, isIP, SocketAddress } from 'node:net'

/** The IPv6 prefix of IPv4 addresses, `::ffff:0:0/96` (RFC 4291, section 2.5.5.2). */
const mappedPrefix = '::ffff:'
const mappedBits = 96

/**
 * An IP address or a network in CIDR notation as it is written in signed URLs: IPv6 compressed and in
 * lower case, IPv4 addresses mapped to IPv6 as IPv4. Undefined for any other text.
 */
export function parseNetwork(text: string): string | undefined {
  const [, address = '', length] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const canonical = normalizeAddress(address)
  if (canonical === undefined) return undefined
  if (length === undefined) return canonical
  const bits = bitsOf(canonical)
  const given = bitsOf(address)
  const prefix = Number(length) - (given - bits)
  if (String(Number(length)) !== length || prefix < 0 || prefix > bits) return undefined
  return `${canonical}/${prefix}`
}

/** Whether an address is the network, or lies in it. `network` is as `parseNetwork` writes it. */
export function isInNetwork(network: string, address: string): boolean {
  const canonical = normalizeAddress(address)
  const [base = '', prefix] = network.split('/')
  if (canonical === undefined || isIP(canonical) !== isIP(base)) return false
  if (prefix === undefined) return canonical === base
  const list = new BlockList()
  list.addSubnet(base, Number(prefix), familyOf(base))
  return list.check(canonical, familyOf(canonical))
}

/** An address without a zone, in the one way to write it. */
function normalizeAddress(text: string): string | undefined {
  const address = text.replace(/%.*/s, '')
  if (isIP(address) === 0) return undefined
  const { address: canonical } = new SocketAddress({ address, family: familyOf(address) })
  const mapped = canonical.startsWith(mappedPrefix) ? canonical.slice(mappedPrefix.length) : ''
  return isIP(mapped) === 4 ? mapped : canonical
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6'
}

function bitsOf(address: string): number {
  return isIP(address) === 4 ? 128 - mappedBits : 128
}
