import type { DaemonWishes } from '@edgesmith/engine/daemon-limits'
import { boolean, integer, optional, text, type Environment } from '@edgesmith/service/environment'

const GiB = 1024 ** 3

/** The environment variables that say what builds run in. */
export const engineVariables = {
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
  DAEMON_RUNTIME: optional(
    text({
      description:
        "OCI runtime of Docker's that the BuildKit daemon runs with, such as `sysbox-runc`; Docker's default when not set.",
    }),
  ),
  CLIENT_RUNTIME: optional(
    text({
      description:
        "OCI runtime of Docker's that a build's Earthly client runs with, such as `runsc`; Docker's default when not set.",
    }),
  ),
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
}

/** What builds run in. */
export type EngineSettings = {
  readonly docker: { readonly host: string; readonly certificateDirectory: string | undefined }
  readonly engine: {
    readonly image: string
    readonly daemonImage: string
    readonly cacheBytes: number
    readonly parallelism: number
    readonly limits: DaemonWishes
    readonly runtime: string | undefined
  }
  readonly cache: { readonly byTenant: boolean; readonly idleSeconds: number }
  readonly client: {
    readonly runtime: string | undefined
    readonly memoryBytes: number
    readonly cpus: number
    readonly pids: number
    readonly userId: number
  }
}

/** The settings that the environment gives; a missing image is added to the faults. */
export function toEngineSettings(env: Environment<typeof engineVariables>, faults: string[]): EngineSettings {
  const image = env.ENGINE_IMAGE ?? ''
  if (image === '')
    faults.push('ENGINE_IMAGE is required; deploy/engine/build.sh makes one and prints its name')
  return {
    docker: { host: env.DOCKER_HOST, certificateDirectory: env.DOCKER_CERT_PATH },
    engine: {
      image,
      daemonImage: env.ENGINE_DAEMON_IMAGE ?? image,
      cacheBytes: env.BUILDKIT_CACHE_BYTES,
      parallelism: env.BUILDKIT_PARALLELISM,
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
    client: {
      runtime: env.CLIENT_RUNTIME,
      memoryBytes: env.CLIENT_MEMORY_BYTES,
      cpus: env.CLIENT_CPUS,
      pids: env.CLIENT_PIDS,
      userId: env.CLIENT_USER_ID,
    },
  }
}
