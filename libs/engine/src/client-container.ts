import { randomUUID } from 'node:crypto'
import type { Duplex, Readable } from 'node:stream'
import type Docker from 'dockerode'
import {
  putEntries,
  takeEntries,
  writeArchive,
  type ArchiveEntry,
  type FileOwner,
  type TakenEntry,
} from './archive.ts'
import type { DaemonEndpoint } from './buildkit-daemon.ts'
import { unlessStatus, viaDocker } from './docker.ts'
import { ensureImage, type EngineImage } from './image.ts'
import { labelsOf } from './labels.ts'
import { removeContainer } from './removal.ts'

/** What a client container may use. */
export type ClientLimits = {
  readonly memoryBytes: number
  /** CPUs, also parts of one. */
  readonly cpus: number
  /** Processes and threads. */
  readonly pids: number
}

export type ClientOptions = {
  readonly docker: Docker
  readonly image: string
  readonly workerId: string
  readonly buildId: string
  readonly daemon: DaemonEndpoint
  readonly limits: ClientLimits
  /** What Docker runs the container with; its default when left out. */
  readonly runtime?: string | undefined
  readonly user: FileOwner
  /** What Earthly is handed besides the workspace; nothing when left out. */
  readonly secrets?: ClientSecrets | undefined
  /** The flags and the target of each run of Earthly; one starts when the one before has succeeded. */
  readonly runs: readonly (readonly string[])[]
  /** How long the certificate of the client is valid, in milliseconds. */
  readonly lifetimeMs: number
}

const volumeDirectory = '/build'
const homeDirectory = '/home/earthly'
const temporaryBytes = 512 * 1024 ** 2
const homeBytes = 64 * 1024 ** 2

/** Directory of the volume that holds the CanvOS working tree; Earthly runs there. */
export const workspaceDirectory = `${volumeDirectory}/workspace`

/** Images call the program `earthly` or, newer ones, `earth`. */
const findEarthly = 'earthly=$(command -v earthly || command -v earth)'

/** In memory: a file system of the container's own, which is gone with it. */
const secretsDirectory = '/run/edgesmith'
const secretsBytes = 4 * 1024 ** 2

/** What the client alone gets to see: it is in no command line, environment or volume of its container. */
export type ClientSecrets = {
  /** Values by the names that Earthfiles have for them (`RUN --secret NAME`). */
  readonly earthly: ReadonlyMap<string, string>
  /** Docker's `config.json`, with credentials of registries. */
  readonly dockerConfig?: string | undefined
}

/** Takes what is sent to the container's standard input before anything else runs. */
const takeSecrets = `tar -x -f - -C ${secretsDirectory}`

const clientDirectory = `${volumeDirectory}/client`

/** Relative paths would be looked up in Earthly's own directory. */
const clientConfig = `global:
  disable_analytics: true
  tls_enabled: true
  tlsca: ${clientDirectory}/ca_cert.pem
  tlscert: ${clientDirectory}/earthly_cert.pem
  tlskey: ${clientDirectory}/earthly_key.pem
`

/**
 * The container of one build, in which Earthly's client runs, and the volume with its workspace. It has
 * no capabilities, no Docker socket, no way into any network but to the daemon, and a read-only root.
 * Both are gone once it is disposed of, however the build ended.
 */
export class ClientContainer implements AsyncDisposable {
  readonly container: Docker.Container
  readonly #volume: Docker.Volume
  readonly #user: FileOwner
  readonly #secrets: ClientSecrets | undefined

  private constructor(
    container: Docker.Container,
    volume: Docker.Volume,
    { user, secrets }: Pick<ClientOptions, 'user' | 'secrets'>,
  ) {
    this.container = container
    this.#volume = volume
    this.#user = user
    this.#secrets = secrets
  }

  /** Makes the volume and the container; it is not started yet. */
  static create(options: ClientOptions): Promise<ClientContainer> {
    return viaDocker(() => ClientContainer.#create(options))
  }

  static async #create(options: ClientOptions): Promise<ClientContainer> {
    const { docker, workerId, buildId, image, user, daemon, lifetimeMs } = options
    const engine = await ensureImage(docker, image)
    const name = `edgesmith-build-${buildId}-${randomUUID().slice(0, 8)}`
    await docker.createVolume({ Name: name, Labels: labelsOf({ workerId, buildId }, 'workspace') })
    const volume = docker.getVolume(name)
    try {
      const container = await docker.createContainer(containerOptions(options, engine, name))
      const client = new ClientContainer(container, volume, options)
      try {
        const { certificate, key } = await daemon.issue(`build-${buildId}`, lifetimeMs)
        await putEntries(container, volumeDirectory, user, [
          { type: 'directory', path: 'workspace', mode: 0o755 },
          { type: 'directory', path: 'client', mode: 0o700 },
          { type: 'file', path: 'client/config.yml', mode: 0o600, body: clientConfig },
          { type: 'file', path: 'client/ca_cert.pem', mode: 0o600, body: daemon.authority },
          { type: 'file', path: 'client/earthly_cert.pem', mode: 0o600, body: certificate },
          { type: 'file', path: 'client/earthly_key.pem', mode: 0o600, body: key },
        ])
        return client
      } catch (error) {
        await removeContainer(container)
        throw error
      }
    } catch (error) {
      await unlessStatus([404], volume.remove())
      throw error
    }
  }

  /** Puts entries into the workspace. */
  async put(
    entries: Iterable<ArchiveEntry> | AsyncIterable<ArchiveEntry>,
    signal?: AbortSignal,
  ): Promise<void> {
    await putEntries(this.container, workspaceDirectory, this.#user, entries, signal)
  }

  /**
   * Takes a file or a directory, with all it holds, out of the workspace.
   * @throws an error of Docker with status 404 when there is no such path
   */
  take(path: string): AsyncGenerator<TakenEntry> {
    return takeEntries(this.container, `${workspaceDirectory}/${path}`)
  }

  /** Attaches to standard output and standard error, and to standard input where secrets are waited for. */
  async #attach(): Promise<Duplex> {
    const stdin = this.#secrets !== undefined
    const streams = { stream: true, stdin, stdout: true, stderr: true }
    return (await this.container.attach({ ...streams, hijack: stdin })) as unknown as Duplex
  }

  /** Starts the container and hands it the secrets; answers what it prints. */
  async start(): Promise<Readable> {
    const attached = await this.#attach()
    try {
      await this.container.start()
      if (this.#secrets === undefined) return attached
      await writeArchive(attached, this.#user, secretEntries(this.#secrets))
      return attached
    } catch (error) {
      attached.destroy()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await viaDocker(async () => {
      await removeContainer(this.container)
      await unlessStatus([404], this.#volume.remove())
    })
  }
}

function containerOptions(
  options: ClientOptions,
  engine: EngineImage,
  volume: string,
): Docker.ContainerCreateOptions {
  const { workerId, buildId, daemon, limits, user, secrets } = options
  const owner = `uid=${user.uid},gid=${user.gid}`
  const temporary = `rw,nosuid,nodev,size=${temporaryBytes},mode=1777`
  return {
    name: volume,
    Image: engine.reference,
    Labels: labelsOf({ workerId, buildId }, 'client'),
    User: `${user.uid}:${user.gid}`,
    WorkingDir: workspaceDirectory,
    Entrypoint: ['/bin/sh', '-c', toScript(options), 'sh'],
    // `--strict` refuses LOCALLY: nothing of an Earthfile runs in this container.
    Cmd: [
      ...['--config', `${clientDirectory}/config.yml`, '--buildkit-host', daemon.address, '--strict'],
      ...secretFlags(secrets),
    ],
    ...(secrets === undefined ? {} : { OpenStdin: true, StdinOnce: true, AttachStdin: true }),
    Env: [
      ...(secrets?.dockerConfig === undefined ? [] : [`DOCKER_CONFIG=${secretsDirectory}/docker`]),
      `HOME=${homeDirectory}`,
      'NO_COLOR=1',
      'TERM=dumb',
      // The whole name of a target before each line, in Earthly and in EarthBuild.
      'EARTHLY_FULL_TARGET=1',
      'EARTH_FULL_TARGET=1',
      // There is no Docker here to take images.
      'EARTHLY_DISABLE_REMOTE_REGISTRY_PROXY=true',
    ],
    HostConfig: {
      NetworkMode: daemon.network,
      // Docker itself answers the daemon's name. Any other would be asked for in vain, for a minute.
      Dns: ['127.0.0.1'],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      Tmpfs: {
        ...Object.fromEntries(engine.volumes.map((directory) => [directory, temporary])),
        '/tmp': temporary,
        ...(secrets === undefined
          ? {}
          : { [secretsDirectory]: `rw,noexec,nosuid,nodev,size=${secretsBytes},mode=0700,${owner}` }),
        [homeDirectory]: `rw,nosuid,nodev,size=${homeBytes},mode=0700,${owner}`,
      },
      Mounts: [{ Type: 'volume', Source: volume, Target: volumeDirectory }],
      Memory: limits.memoryBytes,
      MemorySwap: limits.memoryBytes,
      NanoCpus: Math.round(limits.cpus * 1e9),
      PidsLimit: limits.pids,
      ...(options.runtime === undefined ? {} : { Runtime: options.runtime }),
      RestartPolicy: { Name: 'no' },
      // The output is read by attaching, and kept with the build.
      LogConfig: { Type: 'none', Config: {} },
    },
  }
}

/** Words that the shell takes as they are. */
const plainWord = /^[A-Za-z0-9+=./_-]+$/

/** A shell script of the runs. @throws RangeError when a word is more than letters, digits and `+=./_-` */
function toScript({ runs, secrets }: Pick<ClientOptions, 'runs' | 'secrets'>): string {
  const odd = runs.flat().find((word) => !plainWord.test(word))
  if (odd !== undefined) throw new RangeError(`${JSON.stringify(odd)} is not a plain word.`)
  return [
    ...(secrets === undefined ? [] : [takeSecrets]),
    findEarthly,
    ...runs.map((words) => `"$earthly" "$@" ${words.join(' ')}`),
  ].join(' && ')
}

/** The names of the secrets and the files that hold them. */
function secretFlags(secrets: ClientSecrets | undefined): string[] {
  return [...(secrets?.earthly.keys() ?? [])].flatMap((name, index) => [
    '--secret-file',
    `${name}=${secretsDirectory}/earthly/${index}`,
  ])
}

function secretEntries({ earthly, dockerConfig }: ClientSecrets): ArchiveEntry[] {
  const file = (path: string, body: string) => ({ type: 'file', path, mode: 0o600, body }) as const
  return [
    { type: 'directory', path: 'earthly', mode: 0o700 },
    ...[...earthly.values()].map((value, index) => file(`earthly/${index}`, value)),
    ...(dockerConfig === undefined
      ? []
      : [
          { type: 'directory', path: 'docker', mode: 0o700 } as const,
          file('docker/config.json', dockerConfig),
        ]),
  ]
}
