import type Docker from 'dockerode'
import { viaDocker } from './docker.ts'
import { EngineError } from './engine-error.ts'

/** The machine behind a Docker. */
export type Machine = {
  /** As CanvOS names it (`amd64`, `arm64`); other architectures as Docker names them. */
  readonly architecture: string
  readonly cpus: number
  /** Bytes of memory. */
  readonly memoryBytes: number
  /** Names of the OCI runtimes that Docker has. */
  readonly runtimes: readonly string[]
}

const architectures: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' }

/** Asks a Docker what its machine is. @throws EngineError `client-lost` when it does not answer */
export async function lookAtMachine(docker: Docker): Promise<Machine> {
  const { Architecture, NCPU, MemTotal, Runtimes } = (await viaDocker(() => docker.info())) as {
    Architecture: string
    NCPU: number
    MemTotal: number
    Runtimes: Record<string, unknown> | null
  }
  return {
    architecture: architectures[Architecture] ?? Architecture,
    cpus: NCPU,
    memoryBytes: MemTotal,
    runtimes: Object.keys(Runtimes ?? {}),
  }
}

/**
 * Makes sure that Docker has the runtimes that settings name.
 * @throws EngineError `runtime-unavailable` naming the setting and what there is
 */
export function assertRuntimes(
  { runtimes }: Pick<Machine, 'runtimes'>,
  settings: Readonly<Record<string, string | undefined>>,
): void {
  for (const [name, runtime] of Object.entries(settings)) {
    if (runtime === undefined || runtimes.includes(runtime)) continue
    throw new EngineError(
      'runtime-unavailable',
      `${name} is ${JSON.stringify(runtime)}, which Docker does not have. It has ${runtimes.join(', ')}; others are registered in its daemon.json ("runtimes").`,
    )
  }
}
