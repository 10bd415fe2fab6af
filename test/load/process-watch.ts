import { readFile } from 'node:fs/promises'
import { median, round } from './figures.ts'

const sampleMs = 1000
const KiB = 1024
const MiB = 1024 ** 2
/** Clock ticks of `/proc` in a second: Linux tells user space 100 on every architecture (time(7)). */
const ticksPerSecond = 100

type Sample = {
  /** Resident memory, in bytes, and what of it is no file: V8's heap, buffers, and what else was allocated. */
  readonly resident: number
  readonly anonymous: number
}

/** What a process took while it was watched. */
export type ProcessFigures = {
  /** Medians of the last third of the time, in MiB. */
  readonly residentMiB: number
  readonly anonymousMiB: number
  /** By how much the medians of the last third are above those of the second, as a part of these. */
  readonly residentGrowth: number
  readonly anonymousGrowth: number
  readonly peakMiB: number
  /** Processors that it kept busy. */
  readonly processors: number
}

/** Watches the memory and processor time of processes, as the kernel tells them, until it is disposed of. */
export class ProcessWatch implements Disposable {
  readonly #pids: ReadonlyMap<string, number>
  readonly #samples = new Map<string, Sample[]>()
  readonly #processorSeconds = new Map<string, number>()
  readonly #begun = performance.now()
  readonly #timer: NodeJS.Timeout

  private constructor(pids: ReadonlyMap<string, number>) {
    this.#pids = pids
    this.#timer = setInterval(() => {
      void this.#sample()
    }, sampleMs)
  }

  static async begin(pids: Readonly<Record<string, number>>): Promise<ProcessWatch> {
    const watch = new ProcessWatch(new Map(Object.entries(pids)))
    for (const [name, pid] of watch.#pids) watch.#processorSeconds.set(name, await processorSecondsOf(pid))
    return watch
  }

  /** What the processes took from the beginning until now. */
  async figures(): Promise<Record<string, ProcessFigures>> {
    await this.#sample()
    const seconds = (performance.now() - this.#begun) / 1000
    const found: Record<string, ProcessFigures> = {}
    for (const [name, pid] of this.#pids) {
      const samples = this.#samples.get(name) ?? []
      const busy = (await processorSecondsOf(pid)) - (this.#processorSeconds.get(name) ?? 0)
      found[name] = {
        residentMiB: round(lastThird(samples.map(({ resident }) => resident)) / MiB),
        anonymousMiB: round(lastThird(samples.map(({ anonymous }) => anonymous)) / MiB),
        residentGrowth: round(growth(samples.map(({ resident }) => resident))),
        anonymousGrowth: round(growth(samples.map(({ anonymous }) => anonymous))),
        peakMiB: round(Math.max(0, ...samples.map(({ resident }) => resident)) / MiB),
        processors: round(busy / seconds),
      }
    }
    return found
  }

  async #sample(): Promise<void> {
    for (const [name, pid] of this.#pids) {
      const sample = await memoryOf(pid)
      this.#samples.set(name, [...(this.#samples.get(name) ?? []), sample])
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

/** proc(5), "status". */
export async function memoryOf(pid: number): Promise<Sample> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * KiB
  return { resident: bytes('VmRSS'), anonymous: bytes('RssAnon') }
}

/** User and system time, proc(5), "stat"; the name before them can have spaces. */
async function processorSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

function lastThird(values: readonly number[]): number {
  return median(values.slice(Math.floor((values.length * 2) / 3)))
}

function growth(values: readonly number[]): number {
  const third = Math.floor(values.length / 3)
  const before = median(values.slice(third, third * 2))
  return before === 0 ? 0 : lastThird(values) / before - 1
}
