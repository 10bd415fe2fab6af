import type Docker from 'dockerode'
import { runcScript, startScript } from './daemon-files.ts'
import type { DaemonLimits } from './daemon-limits.ts'
import { unlessStatus } from './docker.ts'
import type { EngineImage } from './image.ts'
import { labelsOf, type Owner, type Role } from './labels.ts'

/** What a worker's daemon is made from. */
export type DaemonSettings = {
  readonly docker: Docker
  readonly workerId: string
  /** Whose builds alone the daemon serves; those of all tenants when left out. */
  readonly tenant?: string | undefined
  readonly image: string
  /** What the cache may hold, in bytes; older content is thrown away beyond that. */
  readonly cacheBytes: number
  /** How many steps run at once. */
  readonly parallelism: number
  /** Registries, `host:port`, that are spoken to over HTTP or with certificates nobody checks. */
  readonly insecureRegistries: readonly string[]
  readonly limits: DaemonLimits
  /** What Docker runs the container with (`runc`, `runsc`, `sysbox-runc`); its default when left out. */
  readonly runtime?: string | undefined
  /** Bytes that are kept of a build's log: no step need print more. */
  readonly stepLogBytes: number
}

/** Name of the daemon within the clients' network, and in its certificate. */
export const daemonName = 'buildkitd'
export const daemonPort = 8372

/**
 * What the daemon may do beyond other containers: mount file systems and make namespaces for the steps
 * (SYS_ADMIN), and give them a network (NET_ADMIN). Its steps get Docker's default capabilities.
 */
export const daemonCapabilities = ['SYS_ADMIN', 'NET_ADMIN'] as const

/** Bytes of output that are taken of a step at the most. */
const largestStepLog = 8 * 1024 ** 2

/** The official client image is made from the daemon's: its entry point would start a client. */
const clientEntrypoint = '/usr/bin/earthly-entrypoint.sh'
const daemonCommand = ['/usr/bin/entrypoint.sh', 'buildkitd', '--config=/etc/buildkitd.toml']

/** Gives the machine that Docker runs on no address in the network: clients do not reach its services. */
const withoutHost = { 'com.docker.network.bridge.inhibit_ipv4': 'true' }

/** Where an engine's daemon keeps its cache. */
export function cacheDirectory(engine: EngineImage): string {
  return engine.environment.get('EARTHLY_TMP_DIR') ?? '/tmp/earthly'
}

/** The container of a worker's daemon. */
export function daemonContainer(options: DaemonSettings, engine: EngineImage): Docker.ContainerCreateOptions {
  const { workerId, tenant, cacheBytes, parallelism, insecureRegistries, limits, runtime, stepLogBytes } =
    options
  const directory = cacheDirectory(engine)
  const network = nameOf(options, 'client-network')
  const command =
    engine.entrypoint[0] === clientEntrypoint ? daemonCommand : [...engine.entrypoint, ...engine.command]
  return {
    name: nameOf(options, 'buildkit'),
    Image: engine.reference,
    Labels: labelsOf({ workerId, tenant }, 'buildkit'),
    Entrypoint: [startScript],
    Cmd: [...command, `--oci-worker-binary=${runcScript}`],
    Env: [
      `EARTHLY_TMP_DIR=${directory}`,
      'BUILDKIT_TCP_TRANSPORT_ENABLED=true',
      'BUILDKIT_TLS_ENABLED=true',
      `BUILDKIT_MAX_PARALLELISM=${parallelism}`,
      `CACHE_SIZE_MB=${Math.max(1, Math.floor(cacheBytes / 1024 ** 2))}`,
      'CACHE_SIZE_PCT=0',
      'ALLOW_PRIVILEGED_STEPS=false',
      // What Earthly's own daemon image sets: beyond it, one line tells that the output is clipped.
      `BUILDKIT_STEP_LOG_MAX_SIZE=${Math.min(stepLogBytes, largestStepLog)}`,
      `EARTHLY_ADDITIONAL_BUILDKIT_CONFIG=${registryConfig(insecureRegistries)}`,
    ],
    NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [daemonName] } } },
    HostConfig: {
      NetworkMode: network,
      CapAdd: [...daemonCapabilities],
      SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
      // The steps' network is masqueraded inside the container.
      Sysctls: { 'net.ipv4.ip_forward': '1' },
      Mounts: [{ Type: 'volume', Source: nameOf(options, 'cache'), Target: directory }],
      Memory: limits.memoryBytes,
      MemorySwap: limits.memoryBytes,
      ...(limits.cpus === undefined ? {} : { NanoCpus: Math.round(limits.cpus * 1e9) }),
      PidsLimit: limits.pids,
      ...(runtime === undefined ? {} : { Runtime: runtime }),
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
    },
  }
}

/** BuildKit's configuration for registries without trusted certificates (`buildkitd.toml`, "registry"). */
function registryConfig(registries: readonly string[]): string {
  return registries
    .map((registry) => `[registry.${JSON.stringify(registry)}]\n  http = true\n  insecure = true\n`)
    .join('')
}

/** Makes a network of a worker where it is not there. */
export async function ensureNetwork(
  { docker, workerId, tenant }: Pick<DaemonSettings, 'docker' | 'workerId' | 'tenant'>,
  role: 'client-network' | 'egress-network',
): Promise<void> {
  const name = nameOf({ workerId, tenant }, role)
  if ((await unlessStatus([404], docker.getNetwork(name).inspect())) !== undefined) return
  await docker.createNetwork({
    Name: name,
    Driver: 'bridge',
    ...(role === 'client-network' ? { Internal: true, Options: withoutHost } : {}),
    Labels: labelsOf({ workerId, tenant }, role),
  })
}

/** The name that something of a worker, or of its daemon for one tenant, has in Docker. */
export function nameOf({ workerId, tenant }: Omit<Owner, 'buildId'>, role: Role): string {
  return tenant === undefined ? `edgesmith-${workerId}-${role}` : `edgesmith-${workerId}-${role}.${tenant}`
}
