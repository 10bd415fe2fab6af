import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** An address, network or host, perhaps at one port alone, that may be called though it is not public. */
export type Allowance = { readonly port?: number } & (
  | { readonly kind: 'network'; readonly network: readonly [Address, number] }
  | { readonly kind: 'host'; readonly host: string }
)

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Where a connection is about to lead: what was asked for, and what that was resolved to. */
export type Destination = { readonly host: string; readonly address: string; readonly port: number }

const hostPattern =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*$/
/** `[address]`, `[address]:port`, `address/bits`, `name`, `name:port`. */
const allowancePattern =
  /^(?:\[(?<bracketed>[0-9a-f:.]+)\]|(?<plain>[^:[\]]+)|(?<bare>[0-9a-f:.]+(?:\/\d{1,3})?))(?::(?<port>\d{1,5}))?$/i

/** Reads an allowance; undefined for text that is none. */
export function parseAllowance(text: string): Allowance | undefined {
  const unported = isNetwork(text) || isIP(text) !== 0 ? { bare: text } : undefined
  const groups: Record<string, string | undefined> | undefined =
    unported ?? allowancePattern.exec(text)?.groups
  if (groups === undefined) return undefined
  const port = groups['port'] === undefined ? undefined : Number(groups['port'])
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined
  const atPort = port === undefined ? {} : { port }
  const subject = groups['bracketed'] ?? groups['bare'] ?? groups['plain'] ?? ''
  if (isNetwork(subject)) {
    const [address, bits] = ipaddr.parseCIDR(subject)
    return { kind: 'network', network: [address, bits], ...atPort }
  }
  if (isIP(subject) !== 0) {
    const address = ipaddr.process(subject)
    return { kind: 'network', network: [address, address.kind() === 'ipv4' ? 32 : 128], ...atPort }
  }
  return hostPattern.test(subject) && !/^[\d.]+$/.test(subject)
    ? { kind: 'host', host: subject.toLowerCase(), ...atPort }
    : undefined
}

/**
 * Whether a connection may be made: to public unicast addresses always, to all others (loopback, link-local
 * with its metadata services, private and shared networks, multicast, and forms that carry an IPv4 address
 * inside an IPv6 one; IANA's special-purpose address registries, RFC 6890) where an allowance says so.
 */
export function isPermitted(destination: Destination, allowances: readonly Allowance[]): boolean {
  const { address } = destination
  if (isIP(address) === 0) return false
  // IPv4 in IPv6 is judged as the IPv4 address that it leads to.
  const resolved = ipaddr.process(address)
  if (resolved.range() === 'unicast') return true
  return allowances.some((allowance) => allows(allowance, destination, resolved))
}

function allows(allowance: Allowance, { host, port }: Destination, resolved: Address): boolean {
  if (allowance.port !== undefined && allowance.port !== port) return false
  if (allowance.kind === 'host') return allowance.host === host.toLowerCase().replace(/\.$/, '')
  const [network, bits] = allowance.network
  return network.kind() === resolved.kind() && resolved.match(network, bits)
}

function isNetwork(text: string): boolean {
  return isIP(text.split('/', 1)[0] ?? '') !== 0 && ipaddr.isValidCIDR(text)
}
