import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openDocker } from '@edgesmith/engine/docker'
import type Docker from 'dockerode'
import { runCommand } from '../../deploy/setup/command.ts'

/** Disk of the Docker, in MiB: the engine's image, the cache of builds, and what a step fills. */
const diskMiB = 2048
const startDeadlineMs = 60_000
const stopDeadlineMs = 30_000

/**
 * A Docker that can be killed and whose disk can be filled, for nobody else uses it: it has a disk of its own,
 * and a network namespace of its own, where its rules are not in the way of those of the machine's Docker. It
 * reaches the addresses of the machine, where the registry is.
 */
export class PrivateDocker implements AsyncDisposable {
  readonly host: string
  readonly docker: Docker
  readonly #directory: string
  readonly #namespace: string
  readonly #resources: AsyncDisposableStack
  #process: ChildProcess | undefined

  private constructor(directory: string, namespace: string, resources: AsyncDisposableStack) {
    this.host = `unix://${join(directory, 'docker.sock')}`
    this.docker = openDocker({ host: this.host })
    this.#directory = directory
    this.#namespace = namespace
    this.#resources = resources
  }

  /** Starts one whose files are below the directory, with an image of another. */
  static async open(directory: string, image: { of: Docker; reference: string }): Promise<PrivateDocker> {
    await using resources = new AsyncDisposableStack()
    await mountDisk(directory, resources)
    const namespace = await makeNamespace(resources)
    const opened = new PrivateDocker(directory, namespace, resources.move())
    try {
      await opened.start()
      const archive = await image.of.getImage(image.reference).get()
      const loading = await opened.docker.loadImage(archive, { quiet: true })
      await once(loading.resume(), 'end')
      return opened
    } catch (error) {
      await opened[Symbol.asyncDispose]()
      throw error
    }
  }

  async start(): Promise<void> {
    const at = (name: string) => join(this.#directory, name)
    await using log = await open(at('dockerd.log'), 'a')
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'TERM', '--', 'nsenter', `--net=/run/netns/${this.#namespace}`, 'dockerd'],
        ...['--host', this.host, '--data-root', at('docker'), '--exec-root', at('exec')],
        ...[
          '--pidfile',
          at('dockerd.pid'),
          '--storage-driver',
          'overlay2',
          '--shutdown-timeout',
          '5',
          '--log-level',
          'warn',
        ],
        // Nothing of it is another Docker's, should both use the machine's containerd.
        ...[
          '--containerd-namespace',
          this.#namespace,
          '--containerd-plugins-namespace',
          `${this.#namespace}-plugins`,
        ],
        ...['--bridge', 'none', '--default-address-pool', 'base=198.19.0.0/16,size=24'],
      ],
      { stdio: ['ignore', log.fd, log.fd], detached: true },
    )
    this.#process = child
    for (const deadline = Date.now() + startDeadlineMs; ;) {
      const isThere = await this.docker.ping().then(
        () => true,
        () => false,
      )
      if (isThere) return
      if (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
        await delay(50)
        continue
      }
      const lines = (await readFile(at('dockerd.log'), 'utf8')).trimEnd().split('\n').slice(-15)
      throw new Error(`dockerd does not answer:\n${lines.join('\n')}`)
    }
  }

  /** Ends dockerd without a chance to put anything in order; containers run on until it is started again. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
    // Its containerd, which ends with it, is taken for alive by the next one for as long as nobody has reaped it.
    await rm(join(this.#directory, 'exec/containerd/containerd.pid'), { force: true })
  }

  /** Lets dockerd end its containers and itself. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Holds dockerd still: connections stay, and nothing is answered. */
  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  /** Takes all of the disk that is left. */
  async fillDisk(): Promise<void> {
    const file = join(this.#directory, 'docker/filling')
    await runCommand('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M'], { stderr: 'quiet' }).catch(
      () => undefined,
    )
  }

  async emptyDisk(): Promise<void> {
    await rm(join(this.#directory, 'docker/filling'), { force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs)
    await ended
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#resources.disposeAsync()
  }
}

/** Mounts a disk for Docker's data, and memory for its sockets and the like. */
async function mountDisk(directory: string, resources: AsyncDisposableStack): Promise<void> {
  const disk = join(directory, 'docker.disk')
  await runCommand('truncate', ['--size', `${diskMiB}M`, disk])
  await runCommand('/usr/sbin/mkfs.ext4', ['-q', '-O', '^has_journal', disk])
  const mount = async (name: string, ...words: string[]) => {
    const place = join(directory, name)
    await mkdir(place)
    await runCommand('mount', [...words, place])
    // With what Docker has mounted there.
    resources.defer(async () => {
      await runCommand('umount', ['--recursive', '--lazy', place])
    })
  }
  await mount('docker', '-o', 'loop', disk)
  await mount('exec', '-t', 'tmpfs', 'edgesmith-faults')
}

/** Makes a network namespace with a link to the machine; answers its name. */
async function makeNamespace(resources: AsyncDisposableStack): Promise<string> {
  const number = randomInt(2 ** 14)
  const name = `esf${number}`
  // A network for measurements between devices (RFC 2544): a link has four addresses of its first half.
  const [third, fourth] = [number >> 6, (number & 63) << 2]
  const addressOf = (last: number) => `198.18.${third}.${fourth + last}`
  const ip = (...words: string[]) => runCommand('ip', words)
  await ip('netns', 'add', name)
  resources.defer(async () => {
    await ip('netns', 'delete', name)
  })
  // It goes with the namespace.
  await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'machine', 'netns', name)
  await ip('address', 'add', `${addressOf(1)}/30`, 'dev', name)
  await ip('link', 'set', name, 'up')
  for (const link of ['lo', 'machine']) await ip('-n', name, 'link', 'set', link, 'up')
  await ip('-n', name, 'address', 'add', `${addressOf(2)}/30`, 'dev', 'machine')
  await ip('-n', name, 'route', 'add', 'default', 'via', addressOf(1))
  return name
}
