import type { ServiceAddress } from '@edgesmith/engine/network-facts'
import {
  buildNetworks,
  parseDestination,
  type BuildNetwork,
  type Destination,
} from '@edgesmith/engine/network-policy'
import type { objectStoreVariables, redisVariables } from '@edgesmith/service/common-variables'
import { choice, list, type Environment } from '@edgesmith/service/environment'
import type { engineVariables } from './engine-settings.ts'

/** The environment variables that say what builds reach. */
export const networkVariables = {
  BUILD_NETWORK: choice(buildNetworks, {
    default: 'public',
    description:
      'What the steps of builds and the BuildKit daemon may reach: `public` is the internet at TCP ports 80 and 443 and what `BUILD_NETWORK_ALLOW` lists, `listed` that list alone, `open` everything. Never reached, whatever is set: link-local and metadata addresses, and the ports of Redis, MinIO and Docker.',
  }),
  BUILD_NETWORK_ALLOW: list({
    default: [],
    description:
      'What builds may reach besides: `host:port`, `host`, or networks such as `10.1.0.0/16`. The machine of Docker and its containers are reached by `host:port` alone. Names are asked for every minute. The daemon, not the steps, reaches `INSECURE_REGISTRIES` too.',
  }),
  INSECURE_REGISTRIES: list({
    default: [],
    description:
      'Image registries, `host:port`, that are reached over HTTP or whose certificates are not checked.',
  }),
}

/** What builds reach. */
export type NetworkSettings = {
  readonly kind: BuildNetwork
  readonly listed: readonly Destination[]
  /** The same, as it was written. */
  readonly allowed: readonly string[]
  readonly registries: readonly Destination[]
  /** What builds never reach: the service's own Redis, object store and Docker. */
  readonly services: readonly ServiceAddress[]
  /** Registries that are reached over HTTP or whose certificates are not checked, as they were written. */
  readonly insecureRegistries: readonly string[]
}

/** The settings that the environment gives; what cannot be read in it is added to the faults. */
export function toNetworkSettings(
  env: Environment<
    typeof networkVariables & typeof engineVariables & typeof redisVariables & typeof objectStoreVariables
  >,
  faults: string[],
): NetworkSettings {
  for (const registry of env.INSECURE_REGISTRIES) {
    if (!/^[A-Za-z0-9.[\]:-]+$/.test(registry)) {
      faults.push(`INSECURE_REGISTRIES: ${JSON.stringify(registry)} is not \`host\` or \`host:port\``)
    }
  }
  return {
    kind: env.BUILD_NETWORK,
    listed: readDestinations(env.BUILD_NETWORK_ALLOW, faults),
    allowed: env.BUILD_NETWORK_ALLOW,
    registries: env.INSECURE_REGISTRIES.flatMap(registryDestinations),
    services: [
      ...serviceAddress(env.REDIS_URL, 6379),
      ...(env.OBJECT_STORE === 'minio' ? serviceAddress(env.MINIO_ENDPOINT, 80) : []),
      ...serviceAddress(env.DOCKER_HOST, env.DOCKER_CERT_PATH === undefined ? 2375 : 2376),
    ],
    insecureRegistries: env.INSECURE_REGISTRIES,
  }
}

function readDestinations(texts: readonly string[], faults: string[]): Destination[] {
  return texts.flatMap((text) => {
    try {
      return [parseDestination(text)]
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      faults.push(`BUILD_NETWORK_ALLOW: ${error.message}`)
      return []
    }
  })
}

/** Where a registry is reached; none for an IPv6 address, which builds do not reach. */
function registryDestinations(registry: string): Destination[] {
  const { host, port } = /^(?<host>[A-Za-z0-9.-]+)(?::(?<port>[0-9]+))?$/.exec(registry)?.groups ?? {}
  if (host === undefined) return []
  const ports = port === undefined ? [80, 443] : [Number(port)]
  return ports.map((number) => ({ kind: 'host', host, port: number }))
}

/** Host and port of a server's URL; none for the path of a socket. */
function serviceAddress(address: string, defaultPort: number): ServiceAddress[] {
  const url = URL.parse(address)
  if (url === null || url.hostname === '' || url.protocol === 'unix:') return []
  const port = url.port !== '' ? Number(url.port) : url.protocol === 'https:' ? 443 : defaultPort
  return [{ host: url.hostname.replace(/^\[|\]$/g, ''), port }]
}
