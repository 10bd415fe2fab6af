import { readFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { randomUUID } from 'node:crypto'
import { findArtifact } from '@edgesmith/artifacts/artifacts'
import { BuildEvents } from '@edgesmith/builds/build-events'
import { BuildQueue } from '@edgesmith/builds/build-queue'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { createBuild, isEnd } from '@edgesmith/builds/build-state'
import { requestCancel } from '@edgesmith/builds/cancellation'
import { Notifications } from '@edgesmith/builds/notifications'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import { openMirror } from '@edgesmith/canvos/mirror'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import type { BuildInputs, BuildSpec, BuildTarget } from '@edgesmith/contract/build-spec'
import type { ProjectRef } from '@edgesmith/contract/project'
import type { BuildEvent } from '@edgesmith/contract/event'
import { openDocker } from '@edgesmith/engine/docker'
import { labelFilter, labelNames } from '@edgesmith/engine/labels'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { openStore } from '@edgesmith/store/open-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { commitUpload, stageUpload } from '@edgesmith/uploads/uploads'
import type Docker from 'dockerode'
import { fromSetUp } from '../../../test/support/environment.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { readEnv, toConfig, type BuilderConfig } from '../src/config.ts'

/** The fixture's release that the tests build. */
export const fixtureTag = 'v4.10.0'

export type SubmitOptions = {
  readonly target?: BuildTarget
  readonly arguments?: Record<string, string>
  readonly inputs?: BuildInputs
  readonly secrets?: BuildSpec['secrets']
  readonly sealedArguments?: Build['sealedArguments']
  readonly timeoutSeconds?: number
  readonly tag?: string
  /** Another project than that of the tests. */
  readonly project?: ProjectRef
  /** `bypass` when left out, so that a build runs Earthly whatever was built before it. */
  readonly cache?: 'use' | 'bypass'
}

/**
 * Everything around a builder, real: Redis, an object store in a directory, the queue, Docker. Tests
 * submit builds as the gateway does and watch what becomes of them.
 */
export class Harness implements AsyncDisposable {
  readonly config: BuilderConfig
  readonly store: ObjectStore
  readonly repository: BuildRepository
  readonly events: BuildEvents
  readonly docker: Docker
  readonly environment: NodeJS.ProcessEnv
  /** The arguments that point a build at the fixture's registry. */
  readonly registryArguments: Record<string, string>
  readonly #queue: BuildQueue
  readonly #stack: AsyncDisposableStack
  readonly #cancel: (id: string) => Promise<unknown>
  readonly #commits = new Map<string, string>()

  private constructor(parts: {
    config: BuilderConfig
    environment: NodeJS.ProcessEnv
    store: ObjectStore
    repository: BuildRepository
    events: BuildEvents
    docker: Docker
    queue: BuildQueue
    stack: AsyncDisposableStack
    cancel: (id: string) => Promise<unknown>
    registryArguments: Record<string, string>
  }) {
    this.config = parts.config
    this.environment = parts.environment
    this.store = parts.store
    this.repository = parts.repository
    this.events = parts.events
    this.docker = parts.docker
    this.#queue = parts.queue
    this.#stack = parts.stack
    this.#cancel = parts.cancel
    this.registryArguments = parts.registryArguments
  }

  /**
   * Starts Redis and opens the rest; `variables` are the builder's, in place of the test's own. A `redis` that is
   * given is the caller's, who may take it away.
   */
  static async open(variables: NodeJS.ProcessEnv = {}, redis?: { readonly url: string }): Promise<Harness> {
    await using stack = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-builder-'))
    stack.defer(() => rm(directory, { recursive: true, force: true }))
    const server =
      redis ??
      stack.use(
        await startRedisServer({
          dataDirectory: join(directory, 'redis'),
          onUnexpectedExit: (error) => {
            throw error
          },
        }),
      )
    const registryArguments = await readArguments(fromSetUp('EDGESMITH_TEST_CANVOS_ARG_FILE'))
    const registries = Object.values(registryArguments).map((value) => value.split('/')[0] ?? '')
    const environment: NodeJS.ProcessEnv = {
      LOG_LEVEL: process.env['EDGESMITH_TEST_LOG_LEVEL'] ?? 'error',
      BUILDER_PORT: '0',
      BUILDER_ID: `test-${randomUUID().slice(0, 8)}`,
      REDIS_URL: server.url,
      OBJECT_STORE: 'directory',
      OBJECT_DIRECTORY: join(directory, 'objects'),
      CANVOS_REPOSITORY: fromSetUp('EDGESMITH_TEST_CANVOS_REPOSITORY'),
      CANVOS_MIRROR_DIRECTORY: join(directory, 'canvos.git'),
      DOCKER_HOST: fromSetUp('DOCKER_HOST'),
      ENGINE_IMAGE: fromSetUp('EDGESMITH_TEST_ENGINE_IMAGE'),
      INSECURE_REGISTRIES: [...new Set(registries)].join(','),
      BUILDER_LOCK_SECONDS: '5',
      ...variables,
    }
    const config = toConfig(readEnv(environment))
    const onError = (error: Error) => {
      if (redis === undefined) throw error
    }
    const connection = stack.adopt(
      openRedis(server.url, { patience: 'brief', name: 'test', onError }),
      closeRedis,
    )
    const notifications = stack.use(new Notifications(connection, onError))
    const stores = new ProjectStores(await openStore(config.objectStore))
    const store = stores.of(ownProject)
    const repository = new BuildRepository(connection)
    const events = new BuildEvents({ redis: connection, notifications, stores })
    const queue = stack.use(new BuildQueue(connection, onError))
    const docker = openDocker(config.docker)
    stack.defer(() => removeCache(docker, config.workerId))
    return new Harness({
      config,
      environment,
      store,
      repository,
      events,
      docker,
      queue,
      registryArguments,
      cancel: (id) => requestCancel({ redis: connection, repository, events, stores }, id, new Date()),
      stack: stack.move(),
    })
  }

  /** Queues a build as the gateway does, with the arguments that point it at the fixture's registry. */
  async submit(options: SubmitOptions = {}): Promise<string> {
    const tag = options.tag ?? fixtureTag
    const spec: BuildSpec = {
      ...(options.inputs === undefined ? {} : { inputs: options.inputs }),
      ...(options.secrets === undefined ? {} : { secrets: options.secrets }),
      timeoutSeconds: options.timeoutSeconds ?? 300,
      cache: options.cache ?? 'bypass',
    }
    const build = createBuild(
      {
        ...(options.project ?? ownProject),
        target: options.target ?? 'iso',
        canvos: { tag, commit: await this.#commitOf(tag) },
        spec,
        arguments: { ...baseArguments, ...this.registryArguments, ...options.arguments },
        ...(options.sealedArguments === undefined ? {} : { sealedArguments: options.sealedArguments }),
        labels: {},
        diagnostics: [],
      },
      new Date(),
    )
    await this.repository.create(build, new Date())
    await this.#queue.enqueue(build)
    return build.id
  }

  /** Uploads a file; answers the reference to it. */
  async upload(content: string | Buffer, fileName?: string): Promise<{ upload: string; fileName?: string }> {
    const staged = await stageUpload(this.store, Readable.from([Buffer.from(content)]), {
      limitBytes: 1024 ** 3,
    })
    const { upload } = await commitUpload(this.store, staged)
    return { upload: upload.id, ...(fileName === undefined ? {} : { fileName }) }
  }

  async cancel(id: string): Promise<void> {
    await this.#cancel(id)
  }

  /** Waits until an event of a build fits; the log so far is told when none comes. */
  async until(id: string, fits: (event: BuildEvent) => boolean): Promise<BuildEvent> {
    const log: string[] = []
    for await (const { event } of await this.events.read(id, { follow: true })) {
      if (fits(event)) return event
      if (event.type === 'log') log.push(event.line)
    }
    throw new Error(
      `The build ${id} ended first:\n${JSON.stringify((await this.repository.get(id)).failure)}\n${log.join('\n')}`,
    )
  }

  /** Waits until a build has ended; answers its record. */
  async ended(id: string): Promise<Build> {
    for (;;) {
      const build = await this.repository.get(id)
      if (isEnd(build.state)) return build
      await this.until(id, (event) => event.type === 'state' && isEnd(event.state))
    }
  }

  /** The lines of a build's log. */
  async log(id: string): Promise<string[]> {
    const lines: string[] = []
    for await (const { event } of await this.events.read(id, { follow: false })) {
      if (event.type === 'log') lines.push(event.line)
    }
    return lines
  }

  /** An artifact's bytes as an image. */
  async image({ id }: Artifact): Promise<ImageReader> {
    const stored = await findArtifact(this.store, id)
    if (stored?.content.kind !== 'manifest') throw new Error(`There is no image ${id}.`)
    return new ImageReader(this.store, stored.content.manifest)
  }

  /** The container of the worker's BuildKit daemon. */
  async daemon(): Promise<Docker.Container> {
    const { label } = labelFilter({ workerId: this.config.workerId })
    const filters = { label: [...label, `${labelNames.role}=buildkit`] }
    const [daemon] = await this.docker.listContainers({ filters })
    if (daemon === undefined) throw new Error('There is no daemon.')
    return this.docker.getContainer(daemon.Id)
  }

  /** Names of what is in Docker for a build, or for the whole worker, its cache apart. */
  async leftovers(owner: { buildId?: string } = {}): Promise<string[]> {
    const filters =
      owner.buildId === undefined
        ? labelFilter({ workerId: this.config.workerId })
        : labelFilter({ buildId: owner.buildId })
    const containers = await this.docker.listContainers({ all: true, filters })
    const networks = await this.docker.listNetworks({ filters })
    const { Volumes: volumes } = await this.docker.listVolumes({ filters })
    return [
      ...containers.flatMap(({ Names }) => Names),
      ...networks.map(({ Name }) => Name),
      ...volumes.map(({ Name }) => Name).filter((name) => !name.endsWith('-cache')),
    ]
  }

  /** Removes the cache that another worker than the configured one leaves. */
  async removeCacheOf(workerId: string): Promise<void> {
    await removeCache(this.docker, workerId)
  }

  async #commitOf(tag: string): Promise<string> {
    const known = this.#commits.get(tag)
    if (known !== undefined) return known
    const { repository, mirrorDirectory: directory } = this.config.canvos
    const resolved = await openMirror({ repository, directory }).resolveTag(tag)
    if (resolved === undefined) throw new Error(`The fixture has no tag ${tag}.`)
    this.#commits.set(tag, resolved.commit)
    return resolved.commit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

const baseArguments = {
  ARCH: 'amd64',
  OS_DISTRIBUTION: 'ubuntu',
  OS_VERSION: '22.04',
  K8S_DISTRIBUTION: 'k3s',
  ISO_NAME: 'test-installer',
}

async function readArguments(file: string): Promise<Record<string, string>> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  return Object.fromEntries(
    lines.map((line): [string, string] => {
      const [name = '', ...value] = line.split('=')
      return [name, value.join('=')]
    }),
  )
}

async function removeCache(docker: Docker, workerId: string): Promise<void> {
  const { Volumes: volumes } = await docker.listVolumes({ filters: labelFilter({ workerId }) })
  for (const { Name } of volumes) await docker.getVolume(Name).remove()
}
