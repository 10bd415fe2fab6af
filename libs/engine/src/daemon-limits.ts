import type { Machine } from './machine.ts'

/** What a worker's BuildKit daemon may use with all of its steps, and one step alone. */
export type DaemonLimits = {
  readonly memoryBytes: number
  /** CPUs, also parts of one; all of the machine's when left out. */
  readonly cpus: number | undefined
  /** Processes and threads. */
  readonly pids: number
  readonly step: { readonly memoryBytes: number; readonly pids: number }
  /** Disk that is kept free: the step that wrote the most is ended when less is left, in bytes. */
  readonly freeDiskBytes: number
}

/** What an operator sets; the machine tells the rest. */
export type DaemonWishes = {
  readonly memoryBytes: number | undefined
  readonly cpus: number | undefined
  readonly pids: number
  readonly stepMemoryBytes: number | undefined
  readonly stepPids: number
  readonly freeDiskBytes: number
}

const GiB = 1024 ** 3
const MiB = 1024 ** 2

/** Memory left to the machine's other services, in bytes, where it has twice as much. */
const leftToOthers = 2 * GiB
/** Memory left to the daemon and to the other steps by one that takes all it may, in bytes. */
const leftByStep = 1 * GiB
/** What a build wants of a machine when as many as it bears run at a time. */
const perBuild = { cpus: 2, memoryBytes: 4 * GiB }

/** The limits of a daemon on a machine. Memory is whole MiB. */
export function daemonLimits(
  machine: Pick<Machine, 'cpus' | 'memoryBytes'>,
  wishes: DaemonWishes,
): DaemonLimits {
  const memoryBytes = wishes.memoryBytes ?? remainder(machine.memoryBytes, leftToOthers)
  return {
    memoryBytes,
    cpus: wishes.cpus === undefined ? undefined : Math.min(wishes.cpus, machine.cpus),
    pids: wishes.pids,
    step: {
      memoryBytes: Math.min(wishes.stepMemoryBytes ?? remainder(memoryBytes, leftByStep), memoryBytes),
      pids: Math.min(wishes.stepPids, wishes.pids),
    },
    freeDiskBytes: wishes.freeDiskBytes,
  }
}

function remainder(bytes: number, left: number): number {
  return Math.floor(Math.max(bytes - left, bytes / 2) / MiB) * MiB
}

/** How many builds a machine bears at a time, at least one. */
export function bearableBuilds(
  machine: Pick<Machine, 'cpus' | 'memoryBytes'>,
  limits: Pick<DaemonLimits, 'memoryBytes' | 'cpus'>,
): number {
  const cpus = Math.floor((limits.cpus ?? machine.cpus) / perBuild.cpus)
  return Math.max(1, Math.min(cpus, Math.floor(limits.memoryBytes / perBuild.memoryBytes)))
}
