import { hostname } from 'node:os'
import {
  canvosVariables,
  listenVariables,
  loggingVariables,
  objectStoreVariables,
  redisVariables,
  toObjectStoreConfig,
} from '@edgesmith/service/common-variables'
import {
  ConfigurationError,
  automatic,
  boolean,
  choice,
  integer,
  list,
  optional,
  readEnvironment,
  text,
  type Environment,
} from '@edgesmith/service/environment'
import { secretsVariables, toSecretsConfig, type SecretsConfig } from '@edgesmith/secrets/keys'
import {
  retentionVariables,
  toRetentionSettings,
  type RetentionSettings,
} from '@edgesmith/retention/settings'
import type { DaemonWishes } from '@edgesmith/engine/daemon-limits'
import { workerIdPattern } from '@edgesmith/engine/labels'
import type { ServiceAddress } from '@edgesmith/engine/network-facts'
import {
  buildNetworks,
  parseDestination,
  type BuildNetwork,
  type Destination,
} from '@edgesmith/engine/network-policy'
import { maxReserve, minReserve } from '@edgesmith/stamp/placeholder'
import type { ObjectStoreConfig } from '@edgesmith/store/open-store'

const GiB = 1024 ** 3

/** The environment variables of the builder. */
export const builderVariables = {
  ...loggingVariables,
  ...listenVariables('BUILDER', 8082),
  ...redisVariables,
  ...objectStoreVariables,
  ...secretsVariables,
  ...canvosVariables,
  BUILDER_ID: optional(
    text({
      description:
        'Name of this worker, its own among all workers of a Docker and the same after a restart, so that it finds what it left behind; the host name when not set.',
    }),
  ),
  BUILDER_CONCURRENCY: automatic({
    minimum: 1,
    maximum: 64,
    description:
      'Builds run at a time; `auto` is one for every 2 CPUs and 4 GiB of memory that the BuildKit daemon may use, and at least one.',
  }),
  BUILD_TIMEOUT_SECONDS: integer({
    default: 7200,
    minimum: 1,
    maximum: 86_400,
    description: 'Time limit of a build whose spec sets none, in seconds.',
  }),
  BUILDER_LOCK_SECONDS: integer({
    default: 30,
    minimum: 5,
    maximum: 3600,
    description: 'Time after which a worker that is not heard of is taken for dead, in seconds.',
  }),
  BUILDER_LOST_LIMIT: integer({
    default: 2,
    minimum: 0,
    maximum: 100,
    description: 'How often a build may lose its worker, or its BuildKit daemon, and run again.',
  }),
  LOG_LIMIT_BYTES: integer({
    default: 64 * 1024 ** 2,
    minimum: 1024,
    maximum: 4 * GiB,
    description: 'What is kept of the log of a build, in bytes.',
  }),
  DOCKER_HOST: text({
    default: 'unix:///var/run/docker.sock',
    description: 'Docker, or anything that speaks its API: `unix:///path` or `tcp://host:port`.',
  }),
  DOCKER_CERT_PATH: optional(
    text({ description: 'Directory of `ca.pem`, `cert.pem` and `key.pem` for a Docker behind TLS.' }),
  ),
  ENGINE_IMAGE: optional(
    text({
      description:
        "Required. Image of the build engine: the one `deploy/engine/build.sh` makes, EarthBuild's or Earthly 0.8's.",
    }),
  ),
  ENGINE_DAEMON_IMAGE: optional(
    text({ description: 'Image of the BuildKit daemon, where it is another than `ENGINE_IMAGE`.' }),
  ),
  BUILDKIT_CACHE_BYTES: integer({
    default: 20 * GiB,
    minimum: 1024 ** 2,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'What the cache of the BuildKit daemon may hold, in bytes.',
  }),
  CACHE_BY_TENANT: boolean({
    default: false,
    description:
      'Whether the builds of each tenant have a BuildKit daemon of their own, with networks and a cache that no other tenant reaches. Each may use what the `BUILDKIT_` variables say. Otherwise the layers and cache mounts of all tenants are in one cache.',
  }),
  CACHE_IDLE_SECONDS: integer({
    default: 600,
    minimum: 1,
    maximum: 604_800,
    description:
      "Time after its last build at which a tenant's own BuildKit daemon ends, in seconds; its cache is kept.",
  }),
  BUILDKIT_PARALLELISM: integer({
    default: 4,
    minimum: 1,
    maximum: 256,
    description: 'Steps that the BuildKit daemon runs at a time, of all builds together.',
  }),
  BUILDKIT_MEMORY_BYTES: optional(
    integer({
      minimum: 512 * 1024 ** 2,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'Memory of the BuildKit daemon with all of its steps, in bytes; when not set, what Docker has but 2 GiB, and at least half of it.',
    }),
  ),
  BUILDKIT_CPUS: optional(
    integer({
      minimum: 1,
      maximum: 1024,
      description: 'CPUs of the BuildKit daemon with all of its steps; all when not set.',
    }),
  ),
  BUILDKIT_PIDS: integer({
    default: 16_384,
    minimum: 256,
    maximum: 4_000_000,
    description: 'Processes and threads of the BuildKit daemon with all of its steps.',
  }),
  STEP_MEMORY_BYTES: optional(
    integer({
      minimum: 64 * 1024 ** 2,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        "Memory of one step, in bytes; when not set, the daemon's but 1 GiB, and at least half of it. A step that wants more ends its build as `out-of-memory`.",
    }),
  ),
  STEP_PIDS: integer({
    default: 4096,
    minimum: 64,
    maximum: 4_000_000,
    description: 'Processes and threads of one step.',
  }),
  BUILDKIT_FREE_BYTES: integer({
    default: 2 * GiB,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description:
      "Disk that is kept free, in bytes: when less is left on the cache's disk, the step that has written the most is ended, and its build fails as `disk-full`.",
  }),
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
  CLIENT_RUNTIME: optional(
    text({
      description:
        "OCI runtime of Docker's that a build's Earthly client runs with, such as `runsc`; Docker's default when not set.",
    }),
  ),
  DAEMON_RUNTIME: optional(
    text({
      description:
        "OCI runtime of Docker's that the BuildKit daemon runs with, such as `sysbox-runc`; Docker's default when not set.",
    }),
  ),
  PREFLIGHT_FREE_BYTES: integer({
    default: 10 * GiB,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description:
      'Free disk that a worker needs to begin a build, besides six times the size of its inputs, in bytes.',
  }),
  INSECURE_REGISTRIES: list({
    default: [],
    description:
      'Image registries, `host:port`, that are reached over HTTP or whose certificates are not checked.',
  }),
  CLIENT_MEMORY_BYTES: integer({
    default: 1 * GiB,
    minimum: 64 * 1024 ** 2,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "Memory of a build's Earthly client, in bytes.",
  }),
  CLIENT_CPUS: integer({
    default: 1,
    minimum: 1,
    maximum: 1024,
    description: "CPUs of a build's Earthly client.",
  }),
  CLIENT_PIDS: integer({
    default: 256,
    minimum: 16,
    maximum: 1_000_000,
    description: "Processes and threads of a build's Earthly client.",
  }),
  CLIENT_USER_ID: integer({
    default: 10_001,
    minimum: 0,
    maximum: 2 ** 31 - 1,
    description: "User and group id that a build's Earthly client runs as.",
  }),
  USER_DATA_RESERVE_BYTES: integer({
    default: 256 * 1024,
    minimum: minReserve,
    maximum: maxReserve,
    description:
      'Room for user-data in an ISO that others are stamped from, in bytes; an ISO with larger user-data is laid out anew.',
  }),
  IMAGE_DIGEST_TTL_SECONDS: integer({
    default: 600,
    minimum: 1,
    maximum: 31_536_000,
    description:
      'How long it is taken for granted which image a reference stands for, before its registry is asked again, in seconds.',
  }),
  ...retentionVariables,
  RETENTION_INTERVAL_SECONDS: integer({
    default: 3600,
    minimum: 1,
    maximum: 31_536_000,
    description:
      'How often one of the workers deletes builds by the retention policies and removes what nothing refers to, in seconds.',
  }),
  WORK_DIRECTORY: optional(
    text({ description: 'Directory for short-lived working trees; that of the system when not set.' }),
  ),
}

export type BuilderConfig = {
  readonly logLevel: string
  readonly host: string
  readonly port: number
  readonly redisUrl: string
  readonly objectStore: ObjectStoreConfig
  readonly secrets: SecretsConfig
  readonly canvos: { readonly repository: string; readonly mirrorDirectory: string }
  readonly workerId: string
  /** How many builds run at a time; by the machine when left out. */
  readonly concurrency: number | undefined
  readonly timeoutSeconds: number
  readonly lockSeconds: number
  readonly lostLimit: number
  readonly logLimitBytes: number
  readonly workDirectory: string | undefined
  readonly preflightFreeBytes: number
  readonly userDataReserveBytes: number
  readonly imageDigestTtlSeconds: number
  readonly retention: RetentionSettings & { readonly intervalSeconds: number }
  readonly docker: { readonly host: string; readonly certificateDirectory: string | undefined }
  readonly engine: {
    readonly image: string
    readonly daemonImage: string
    readonly cacheBytes: number
    readonly parallelism: number
    readonly insecureRegistries: readonly string[]
    readonly limits: DaemonWishes
    readonly runtime: string | undefined
  }
  readonly cache: { readonly byTenant: boolean; readonly idleSeconds: number }
  readonly network: {
    readonly kind: BuildNetwork
    readonly listed: readonly Destination[]
    /** The same, as it was written. */
    readonly allowed: readonly string[]
    readonly registries: readonly Destination[]
    /** What builds never reach: the service's own Redis, object store and Docker. */
    readonly services: readonly ServiceAddress[]
  }
  readonly client: {
    readonly runtime: string | undefined
    readonly memoryBytes: number
    readonly cpus: number
    readonly pids: number
    readonly userId: number
  }
}

/** Reads the builder's environment. */
export function readEnv(source: NodeJS.ProcessEnv = process.env): Environment<typeof builderVariables> {
  return readEnvironment(builderVariables, source)
}

/** The builder's configuration. @throws ConfigurationError naming every fault. */
export function toConfig(env: Environment<typeof builderVariables>, ownHostname = hostname()): BuilderConfig {
  const faults = [...env.faults]
  const objectStore = toObjectStoreConfig(env, faults)
  const secrets = toSecretsConfig(env, faults)
  const workerId = env.BUILDER_ID ?? ownHostname
  if (!workerIdPattern.test(workerId)) {
    faults.push(
      `BUILDER_ID has to be at most 63 letters, digits and \`_.-\` (it is ${JSON.stringify(workerId)})`,
    )
  }
  for (const registry of env.INSECURE_REGISTRIES) {
    if (!/^[A-Za-z0-9.[\]:-]+$/.test(registry)) {
      faults.push(`INSECURE_REGISTRIES: ${JSON.stringify(registry)} is not \`host\` or \`host:port\``)
    }
  }
  const destinations = (texts: readonly string[]) =>
    texts.flatMap((text) => {
      try {
        return [parseDestination(text)]
      } catch (error) {
        if (!(error instanceof TypeError)) throw error
        faults.push(`BUILD_NETWORK_ALLOW: ${error.message}`)
        return []
      }
    })
  const listed = destinations(env.BUILD_NETWORK_ALLOW)
  const engineImage = env.ENGINE_IMAGE ?? ''
  if (engineImage === '')
    faults.push('ENGINE_IMAGE is required; deploy/engine/build.sh makes one and prints its name')
  if (faults.length > 0) throw new ConfigurationError(faults)
  return {
    logLevel: env.LOG_LEVEL,
    host: env.BUILDER_HOST,
    port: env.BUILDER_PORT,
    redisUrl: env.REDIS_URL,
    objectStore,
    secrets,
    canvos: { repository: env.CANVOS_REPOSITORY, mirrorDirectory: env.CANVOS_MIRROR_DIRECTORY },
    workerId,
    concurrency: env.BUILDER_CONCURRENCY === 'auto' ? undefined : env.BUILDER_CONCURRENCY,
    timeoutSeconds: env.BUILD_TIMEOUT_SECONDS,
    lockSeconds: env.BUILDER_LOCK_SECONDS,
    lostLimit: env.BUILDER_LOST_LIMIT,
    logLimitBytes: env.LOG_LIMIT_BYTES,
    workDirectory: env.WORK_DIRECTORY,
    preflightFreeBytes: env.PREFLIGHT_FREE_BYTES,
    userDataReserveBytes: env.USER_DATA_RESERVE_BYTES,
    imageDigestTtlSeconds: env.IMAGE_DIGEST_TTL_SECONDS,
    retention: { ...toRetentionSettings(env), intervalSeconds: env.RETENTION_INTERVAL_SECONDS },
    docker: { host: env.DOCKER_HOST, certificateDirectory: env.DOCKER_CERT_PATH },
    engine: {
      image: engineImage,
      daemonImage: env.ENGINE_DAEMON_IMAGE ?? engineImage,
      cacheBytes: env.BUILDKIT_CACHE_BYTES,
      parallelism: env.BUILDKIT_PARALLELISM,
      insecureRegistries: env.INSECURE_REGISTRIES,
      limits: {
        memoryBytes: env.BUILDKIT_MEMORY_BYTES,
        cpus: env.BUILDKIT_CPUS,
        pids: env.BUILDKIT_PIDS,
        stepMemoryBytes: env.STEP_MEMORY_BYTES,
        stepPids: env.STEP_PIDS,
        freeDiskBytes: env.BUILDKIT_FREE_BYTES,
      },
      runtime: env.DAEMON_RUNTIME,
    },
    cache: { byTenant: env.CACHE_BY_TENANT, idleSeconds: env.CACHE_IDLE_SECONDS },
    network: {
      kind: env.BUILD_NETWORK,
      listed,
      allowed: env.BUILD_NETWORK_ALLOW,
      registries: env.INSECURE_REGISTRIES.flatMap(registryDestinations),
      services: [
        ...serviceAddress(env.REDIS_URL, 6379),
        ...(env.OBJECT_STORE === 'minio' ? serviceAddress(env.MINIO_ENDPOINT, 80) : []),
        ...serviceAddress(env.DOCKER_HOST, env.DOCKER_CERT_PATH === undefined ? 2375 : 2376),
      ],
    },
    client: {
      runtime: env.CLIENT_RUNTIME,
      memoryBytes: env.CLIENT_MEMORY_BYTES,
      cpus: env.CLIENT_CPUS,
      pids: env.CLIENT_PIDS,
      userId: env.CLIENT_USER_ID,
    },
  }
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
