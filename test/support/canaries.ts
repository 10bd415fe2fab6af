import { readdir, readFile, readlink } from 'node:fs/promises'
import type Docker from 'dockerode'

/** Secrets that nobody may find, by what they are. */
export type Canaries = Readonly<Record<string, string>>

/** A canary that was found: which one, and where. */
export type Sighting = { readonly canary: string; readonly where: string }

/** The forms in which a program may write a text down. */
function formsOf(text: string): string[] {
  const base64 = [0, 1, 2].map((before) => {
    const encoded = Buffer.from(' '.repeat(before) + text).toString('base64')
    return encoded.slice(before === 0 ? 0 : 4, -4)
  })
  return [text, encodeURIComponent(text), Buffer.from(text).toString('hex'), ...base64]
}

/** Looks for canaries in texts and bytes. */
export class Lookout {
  readonly #forms: readonly (readonly [string, readonly string[]])[]
  readonly sightings: Sighting[] = []
  /** How many things were looked at, by kind. */
  readonly looked = new Map<string, number>()

  constructor(canaries: Canaries) {
    this.#forms = Object.entries(canaries).map(([name, text]) => [name, formsOf(text)])
  }

  /** The canaries that are in a text. */
  in(text: string): string[] {
    return this.#forms.filter(([, forms]) => forms.some((form) => text.includes(form))).map(([name]) => name)
  }

  /** Looks at a text; `allowed` canaries may be in it. */
  look(kind: string, where: string, text: string, allowed: readonly string[] = []): void {
    this.looked.set(kind, (this.looked.get(kind) ?? 0) + 1)
    for (const canary of this.in(text)) {
      if (allowed.includes(canary)) continue
      const sighting = { canary, where: `${kind} ${where}` }
      if (!this.sightings.some((other) => other.canary === canary && other.where === sighting.where)) {
        this.sightings.push(sighting)
      }
    }
  }

  /** Looks at the command line and environment of every process of the machine, but this one. */
  async lookAtProcesses(allowedOf: (ancestors: readonly number[]) => readonly string[]): Promise<void> {
    for (const entry of await readdir('/proc')) {
      const pid = Number(entry)
      if (!Number.isInteger(pid) || pid === process.pid) continue
      // First: of a process that has ended meanwhile it could not be told any more whose it was.
      const ancestors = await ancestorsOf(pid)
      const [command = '', environment = ''] = await Promise.all(
        ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
      )
      if (this.in(command).length === 0 && this.in(environment).length === 0) {
        this.look('process', entry, '')
        continue
      }
      const allowed = allowedOf(ancestors)
      const name = await readlink(`/proc/${pid}/exe`).catch(() => '')
      this.look('process', `${name} command line`, command, allowed)
      this.look('process', `${name} environment`, environment, allowed)
    }
  }

  /** Looks at all of Docker: containers, volumes and networks, and the logs that it keeps. */
  async lookAtDocker(docker: Docker): Promise<void> {
    for (const { Id } of await docker.listContainers({ all: true })) {
      const inspected = await docker
        .getContainer(Id)
        .inspect()
        .catch(() => undefined)
      if (inspected !== undefined) this.look('container', inspected.Name, JSON.stringify(inspected))
    }
    const { Volumes: volumes } = await docker.listVolumes()
    for (const volume of volumes) this.look('volume', volume.Name, JSON.stringify(volume))
    for (const network of await docker.listNetworks())
      this.look('network', network.Name, JSON.stringify(network))
  }
}

/** A process and those that it comes from. */
async function ancestorsOf(pid: number): Promise<number[]> {
  const ancestors: number[] = []
  for (let current = pid; current > 1;) {
    ancestors.push(current)
    const status = await readFile(`/proc/${current}/stat`, 'utf8').catch(() => '')
    current = Number(status.slice(status.lastIndexOf(')') + 4).split(' ')[0] ?? 0)
  }
  return ancestors
}
