import { lookup } from 'node:dns/promises'
import { isIP, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import type Docker from 'dockerode'
import { EngineError } from './engine-error.ts'
import { labelsOf } from './labels.ts'
import type { Destination, Endpoint, NetworkFacts } from './network-policy.ts'
import { removeContainer } from './removal.ts'

/** A server of the service's own, by the name that the builder reaches it by. */
export type ServiceAddress = { readonly host: string; readonly port: number }

/** Where the policy's names and addresses come from. */
export type NetworkSources = {
  readonly docker: Docker
  /** Redis, the object store, Docker. */
  readonly services: readonly ServiceAddress[]
  readonly listed: readonly Destination[]
  readonly registries: readonly Destination[]
}

/** How long an address that a name once stood for is still taken for it, in milliseconds. */
const keptMs = 60 * 60_000

/**
 * Looks at the network again and again. Addresses that a name has lately stood for stay in force, since
 * a step may have asked a moment before.
 */
export class NetworkWatch {
  readonly #sources: NetworkSources
  readonly #seen = new Map<string, Map<string, number>>()
  #hostAddresses: readonly string[] | undefined

  constructor(sources: NetworkSources) {
    this.#sources = sources
  }

  /**
   * @param image what the container that tells Docker's own addresses is made of
   * @param clientNetwork name of the network of the daemon's clients
   * @throws EngineError `daemon-failed` when a server of the service has no address, or Docker tells none
   */
  async look(workerId: string, image: string, clientNetwork: string): Promise<NetworkFacts> {
    const { docker, services, listed, registries } = this.#sources
    const networks = await docker.listNetworks()
    const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
    this.#hostAddresses ??= await readHostAddresses(docker, workerId, image)
    const hostAddresses = [
      ...new Set([
        ...this.#hostAddresses,
        ...networks.flatMap((network) => ipamOf(network).map(({ Gateway }) => Gateway)),
        ...own.map(({ address }) => address),
      ]),
    ].filter((address) => address !== undefined && isIPv4(address) && !isLoopback(address)) as string[]
    return {
      hostAddresses,
      containerNetworks: networks.flatMap(subnetsOf),
      clientNetworks: networks.filter(({ Name }) => Name === clientNetwork).flatMap(subnetsOf),
      services: (
        await Promise.all(services.map((service) => this.#serviceEndpoints(service, hostAddresses)))
      ).flat(),
      listed: (await Promise.all(listed.map((place) => this.#destination(place)))).flat(),
      registries: (await Promise.all(registries.map((place) => this.#destination(place))))
        .flat()
        .filter((place) => 'address' in place),
    }
  }

  /** A server on the builder's own loopback is on the machine itself, whichever of its addresses is used. */
  async #serviceEndpoints(
    { host, port }: ServiceAddress,
    hostAddresses: readonly string[],
  ): Promise<Required<Endpoint>[]> {
    const addresses = await this.#resolve(host)
    if (addresses.length === 0) {
      throw new EngineError('daemon-failed', `There is no address of ${host}, which builds must not reach.`)
    }
    const reached = addresses.flatMap((address) => (isLoopback(address) ? hostAddresses : [address]))
    return [...new Set(reached)].filter(isIPv4).map((address) => ({ address, port }))
  }

  async #destination(place: Destination): Promise<(Endpoint | { cidr: string })[]> {
    if (place.kind === 'network') return [{ cidr: place.cidr }]
    const { host, port } = place
    const addresses = await this.#resolve(host)
    return addresses.filter(isIPv4).map((address) => ({ address, ...(port === undefined ? {} : { port }) }))
  }

  async #resolve(host: string): Promise<string[]> {
    if (isIP(host) !== 0) return [host]
    const now = performance.now()
    const seen = this.#seen.get(host) ?? new Map<string, number>()
    this.#seen.set(host, seen)
    try {
      for (const { address } of await lookup(host, { all: true })) seen.set(address, now)
    } catch {
      // What it last stood for holds on; what never had an address is not reached.
      return [...seen.keys()]
    }
    for (const [address, at] of seen) if (now - at > keptMs) seen.delete(address)
    return [...seen.keys()]
  }
}

type Ipam = { readonly Subnet?: string; readonly Gateway?: string }

function ipamOf({ IPAM }: Docker.NetworkInspectInfo): readonly Ipam[] {
  // Docker answers null for a network without addresses, whatever the types say.
  return (IPAM as { Config?: Ipam[] | null } | null)?.Config ?? []
}

function subnetsOf(network: Docker.NetworkInspectInfo): string[] {
  return ipamOf(network)
    .map(({ Subnet }) => Subnet)
    .filter((subnet) => subnet !== undefined && isIPv4(subnet.split('/')[0] ?? '')) as string[]
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}

/** The addresses of the machine that Docker runs on, told by a container on its network. */
async function readHostAddresses(docker: Docker, workerId: string, image: string): Promise<string[]> {
  const container = await docker.createContainer({
    Image: image,
    Labels: labelsOf({ workerId }, 'network-look'),
    Entrypoint: ['cat', '/proc/net/fib_trie'],
    Cmd: [],
    HostConfig: {
      NetworkMode: 'host',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
    },
  })
  try {
    await container.start()
    await container.wait()
    const log = await container.logs({ stdout: true, stderr: true })
    const addresses = localAddresses(log.toString('latin1'))
    if (addresses.length > 0) return addresses
    throw new EngineError('daemon-failed', 'The machine of Docker does not tell its addresses.')
  } finally {
    await removeContainer(container)
  }
}

/** Local addresses of a routing trie: `|-- 192.0.2.2` and, below it, `/32 host LOCAL`. */
export function localAddresses(trie: string): string[] {
  const addresses = new Set<string>()
  let last: string | undefined
  for (const line of trie.split('\n')) {
    last = /\|-- (\d+\.\d+\.\d+\.\d+)/.exec(line)?.[1] ?? last
    if (last !== undefined && line.includes('/32 host LOCAL') && !isLoopback(last)) addresses.add(last)
  }
  return [...addresses]
}
