import { isIPv4 } from 'node:net'

/**
 * What steps and the BuildKit daemon itself may reach:
 * `public`: the internet at ports 80 and 443, and what is listed; `listed`: what is listed and nothing
 * else; `open`: everything but what is never reached.
 */
export const buildNetworks = ['public', 'listed', 'open'] as const
export type BuildNetwork = (typeof buildNetworks)[number]

/** Somewhere that builds may reach: a network (`10.1.0.0/16`), or a host with or without a port. */
export type Destination =
  | { readonly kind: 'network'; readonly cidr: string }
  | { readonly kind: 'host'; readonly host: string; readonly port?: number }

/** A port of an address, or all of them. */
export type Endpoint = { readonly address: string; readonly port?: number }

/** What the network looks like at a moment: names resolved, IPv4 alone. */
export type NetworkFacts = {
  /** Addresses that Redis, the object store and Docker are reached at, with their ports. */
  readonly services: readonly Required<Endpoint>[]
  /** Addresses of the machine that Docker runs on, the gateways of its networks among them. */
  readonly hostAddresses: readonly string[]
  /** The networks of Docker's containers (CIDR). */
  readonly containerNetworks: readonly string[]
  /** The network on which the daemon's clients are (CIDR). */
  readonly clientNetworks: readonly string[]
  /** What the operator lists, for steps and daemon. */
  readonly listed: readonly (Endpoint | { readonly cidr: string })[]
  /** Registries that the daemon alone reaches. */
  readonly registries: readonly Endpoint[]
}

/** Rules in the form that `iptables-restore` and `ip6tables-restore` read. */
export type NetworkRules = { readonly iptables: string; readonly ip6tables: string }

/** Never reached: this network, loopback, link-local with the metadata services, multicast, reserved. */
const neverNetworks = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4']
/** Metadata services outside of link-local: Alibaba Cloud, Oracle Cloud. */
const metadataAddresses = ['100.100.100.200', '192.0.0.192']

/** What is not the public internet (IANA, "IPv4 Special-Purpose Address Registry"). */
const privateNetworks = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
]

/** The bridge of the steps, and the daemon's port (deploy/engine). */
const bridge = 'cni0'

/**
 * Reads a destination that an operator lists.
 * @throws TypeError when it is neither a network nor a host
 */
export function parseDestination(text: string): Destination {
  const [address = '', prefix, ...rest] = text.split('/')
  if (prefix !== undefined) {
    if (rest.length > 0 || !isIPv4(address) || !/^(?:[0-9]|[12][0-9]|3[0-2])$/.test(prefix)) {
      throw new TypeError(`${JSON.stringify(text)} is not a network such as 10.1.0.0/16`)
    }
    return { kind: 'network', cidr: text }
  }
  const { host, port } = /^(?<host>[A-Za-z0-9.-]+)(?::(?<port>[0-9]{1,5}))?$/.exec(text)?.groups ?? {}
  if (host === undefined || (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))) {
    throw new TypeError(`${JSON.stringify(text)} is not a host, host:port or a network such as 10.1.0.0/16`)
  }
  return { kind: 'host', host, ...(port === undefined ? {} : { port: Number(port) }) }
}

/**
 * The rules of the daemon's network namespace. Whatever is allowed, never reached are link-local and
 * metadata addresses and the ports of Redis, object store and Docker; what is listed with its port comes
 * next; then the host, its containers and the whole machines of the services are refused; then come
 * networks and the internet. IPv6 is not offered. Names are asked of the daemon's own resolver.
 */
export function networkRules(network: BuildNetwork, daemonPort: number, facts: NetworkFacts): NetworkRules {
  const to = (address: string) => `-d ${address}`
  const tcp = ({ address, port }: Endpoint) =>
    port === undefined ? to(address) : `${to(address)} -p tcp --dport ${port}`
  const exact = facts.listed.filter((place) => 'address' in place && place.port !== undefined) as Endpoint[]
  const wide = facts.listed.flatMap((place) =>
    'cidr' in place ? [place.cidr] : place.port === undefined ? [place.address] : [],
  )
  const serviceAddresses = facts.services.map(({ address }) => address)
  return {
    iptables: table([
      '-A INPUT -i lo -j ACCEPT',
      '-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
      `-A INPUT -i ${bridge} -p udp --dport 53 -j ACCEPT`,
      `-A INPUT -i ${bridge} -p tcp --dport 53 -j ACCEPT`,
      `-A INPUT -i ${bridge} -j refuse`,
      ...facts.clientNetworks.map((cidr) => `-A INPUT -s ${cidr} -p tcp --dport ${daemonPort} -j ACCEPT`),
      '-A INPUT -j refuse',

      '-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
      `-A FORWARD ! -i ${bridge} -j refuse`,
      `-A FORWARD -o ${bridge} -j refuse`,
      '-A FORWARD -j reach',

      '-A OUTPUT -o lo -j ACCEPT',
      '-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
      // The resolver may be anywhere, on some clouds at the very address of the metadata service.
      '-A OUTPUT -p udp --dport 53 -j ACCEPT',
      '-A OUTPUT -j never',
      '-A OUTPUT -p tcp --dport 53 -j ACCEPT',
      ...facts.registries.map((registry) => `-A OUTPUT ${tcp(registry)} -j ACCEPT`),
      '-A OUTPUT -j reach',

      ...[...neverNetworks, ...metadataAddresses].map((cidr) => `-A never ${to(cidr)} -j refuse`),
      ...facts.services.map((service) => `-A never ${tcp(service)} -j refuse`),

      '-A reach -j never',
      ...exact.map((place) => `-A reach ${tcp(place)} -j ACCEPT`),
      ...[...facts.hostAddresses, ...facts.containerNetworks, ...serviceAddresses].map(
        (address) => `-A reach ${to(address)} -j refuse`,
      ),
      ...wide.map((cidr) => `-A reach ${to(cidr)} -j ACCEPT`),
      ...(network === 'public'
        ? [
            ...privateNetworks.map((cidr) => `-A reach ${to(cidr)} -j refuse`),
            '-A reach -p tcp --dport 80 -j ACCEPT',
            '-A reach -p tcp --dport 443 -j ACCEPT',
          ]
        : []),
      ...(network === 'open' ? ['-A reach -j ACCEPT'] : []),
      '-A reach -j refuse',

      '-A refuse -p tcp -j REJECT --reject-with tcp-reset',
      '-A refuse -j REJECT --reject-with icmp-admin-prohibited',
    ]),
    ip6tables: table([
      '-A INPUT -i lo -j ACCEPT',
      '-A OUTPUT -o lo -j ACCEPT',
      '-A OUTPUT -j REJECT --reject-with icmp6-adm-prohibited',
    ]),
  }
}

function table(rules: readonly string[]): string {
  const chains = new Set(
    rules.map((rule) => rule.split(' ')[1] ?? '').filter((name) => /^[a-z]+$/.test(name)),
  )
  return [
    '*filter',
    ':INPUT DROP [0:0]',
    ':FORWARD DROP [0:0]',
    ':OUTPUT DROP [0:0]',
    ...[...chains].map((name) => `:${name} - [0:0]`),
    ...new Set(rules),
    'COMMIT',
    '',
  ].join('\n')
}
