/** Labels of everything that a worker makes in Docker. */
export const labelNames = {
  /** Id of the worker that made it. */
  worker: 'io.edgesmith.worker',
  /** Id of the build it was made for; left out on what serves all builds of a worker. */
  build: 'io.edgesmith.build',
  /** Tenant whose builds alone it serves; left out on what serves those of all. */
  tenant: 'io.edgesmith.tenant',
  /** What it is for, see `Role`. */
  role: 'io.edgesmith.role',
} as const

/** What a container, network or volume is for. `cache` is kept when a worker ends. */
export type Role =
  'buildkit' | 'client' | 'workspace' | 'cache' | 'client-network' | 'egress-network' | 'network-look'

/** Who made something in Docker, and for which build. */
export type Owner = {
  readonly workerId: string
  readonly buildId?: string
  readonly tenant?: string | undefined
}

/** The labels of a container, network or volume. */
export function labelsOf({ workerId, buildId, tenant }: Owner, role: Role): Record<string, string> {
  return {
    [labelNames.worker]: workerId,
    [labelNames.role]: role,
    ...(buildId === undefined ? {} : { [labelNames.build]: buildId }),
    ...(tenant === undefined ? {} : { [labelNames.tenant]: tenant }),
  }
}

/** Docker's filter for what an owner made; without a build, for everything of the worker. */
export function labelFilter(owner: Owner | { readonly buildId: string }): { label: string[] } {
  const label: string[] = []
  if ('workerId' in owner) label.push(`${labelNames.worker}=${owner.workerId}`)
  if (owner.buildId !== undefined) label.push(`${labelNames.build}=${owner.buildId}`)
  return { label }
}

/** Forms a worker id may have: it becomes part of Docker's names. */
export const workerIdPattern = /^[a-z0-9][a-z0-9_.-]{0,62}$/i
