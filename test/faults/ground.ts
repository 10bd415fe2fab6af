import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { baseKey, readBase } from '@edgesmith/bases/base-store'
import { queuePrefix } from '@edgesmith/builds/build-keys'
import { queueName } from '@edgesmith/builds/build-queue'
import { openDocker } from '@edgesmith/engine/docker'
import { labelFilter, labelNames } from '@edgesmith/engine/labels'
import { openMinioStore } from '@edgesmith/store/minio-store'
import { projectPrefix } from '@edgesmith/store/project-stores'
import { findUpload } from '@edgesmith/uploads/uploads'
import { Queue } from 'bullmq'
import type Docker from 'dockerode'
import { Client } from 'minio'
import { startMinio, type MinioServer } from '../../deploy/minio/server.ts'
import { startServiceProcess, type ServiceProcess } from '../../deploy/setup/service-process.ts'
import { SteadyRedis } from '../../libs/builds/test/steady-redis.ts'
import { serviceEnvironment } from '../e2e/environment.ts'
import { ownProject, ownStore } from '../support/projects.ts'
import { tlsDirectoryOf } from '../support/service-certificates.ts'
import { sha256Of } from './client.ts'
import { PrivateDocker } from './private-docker.ts'
import { makeTarget, userDataReserve, type Target } from './target.ts'

const run = promisify(execFile)

const faketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'
const bucket = 'edgesmith'
/** Room of the builder's working trees. */
const workDirectoryMiB = 96

export type Service = 'artifact' | 'builder' | 'gateway' | 'validation'

/** How long a service that is told to stop may take, in milliseconds: what it promises itself. */
const graceMs = 30_000

/** All that builds need, as processes of their own, of which each can be made to fail. */
export class Ground implements AsyncDisposable {
  readonly target: Target
  readonly redis: SteadyRedis
  readonly docker: PrivateDocker
  readonly workerId: string
  readonly directory: string
  readonly #environment: Readonly<Record<string, string>>
  readonly #services = new Map<Service, ServiceProcess>()
  readonly #resources: AsyncDisposableStack
  #minio: MinioServer
  #starts = 0

  private constructor(parts: {
    target: Target
    redis: SteadyRedis
    docker: PrivateDocker
    minio: MinioServer
    directory: string
    workerId: string
    environment: Readonly<Record<string, string>>
    resources: AsyncDisposableStack
  }) {
    this.target = parts.target
    this.redis = parts.redis
    this.directory = parts.directory
    this.workerId = parts.workerId
    this.docker = parts.docker
    this.#minio = parts.minio
    this.#environment = parts.environment
    this.#resources = parts.resources
  }

  static async open(): Promise<Ground> {
    await using resources = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-faults-'))
    resources.defer(() => rm(directory, { recursive: true, force: true }))
    const workDirectory = join(directory, 'work')
    await mkdir(workDirectory)
    await run('mount', ['-t', 'tmpfs', '-o', `size=${workDirectoryMiB}m`, 'edgesmith-faults', workDirectory])
    resources.defer(() => run('umount', ['--lazy', workDirectory]).then(() => undefined))
    await writeFile(join(directory, 'clock'), '+0\n')
    const target = resources.use(await makeTarget())
    const redis = resources.use(await SteadyRedis.open(directory))
    const services = await serviceEnvironment()
    const { DOCKER_HOST: host = '', ENGINE_IMAGE: reference = '' } = services
    const docker = resources.use(await PrivateDocker.open(directory, { of: openDocker({ host }), reference }))
    const minio = await startMinio({ dataDir: join(directory, 'minio') })
    const workerId = `faults-${randomUUID().slice(0, 8)}`
    const environment: Record<string, string> = {
      ...services,
      DOCKER_HOST: docker.host,
      CANVOS_REPOSITORY: target.repository,
      REDIS_URL: redis.url,
      OBJECT_STORE: 'minio',
      MINIO_ENDPOINT: minio.endpoint,
      MINIO_ACCESS_KEY: minio.accessKey,
      MINIO_SECRET_KEY: minio.secretKey,
      SIGNING_KEYS: randomUUID() + randomUUID(),
      BUILDER_ID: workerId,
      BUILDER_CONCURRENCY: '2',
      BUILDER_LOCK_SECONDS: '5',
      BUILDER_LOST_LIMIT: '3',
      USER_DATA_RESERVE_BYTES: String(userDataReserve),
      STEP_MEMORY_BYTES: String(128 * 1024 ** 2),
      BUILDKIT_FREE_BYTES: String(256 * 1024 ** 2),
      PREFLIGHT_FREE_BYTES: '0',
      WORK_DIRECTORY: workDirectory,
    }
    const parts = { target, redis, docker, minio, directory, workerId, environment }
    const ground = new Ground({ ...parts, resources: resources.move() })
    try {
      for (const service of ['artifact', 'validation', 'builder', 'gateway'] as const) {
        await ground.start(service)
      }
      return ground
    } catch (error) {
      await ground[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Where the API is; the same after the gateway was started again. */
  get url(): string {
    return this.#service('gateway').url
  }

  async start(service: Service): Promise<void> {
    const before = this.#services.get(service)
    const portOf = (url: string | undefined) => (url === undefined ? '0' : new URL(url).port)
    const own: Record<string, string> = {
      [`${service.toUpperCase()}_PORT`]: portOf(before?.url),
      [`${service.toUpperCase()}_INTERNAL_PORT`]: portOf(before?.internalUrl),
      ...(service === 'builder' ? {} : { SERVICE_TLS_DIRECTORY: tlsDirectoryOf(service) }),
      CANVOS_MIRROR_DIRECTORY: join(this.directory, `${service}-canvos.git`),
      ...(service === 'gateway'
        ? {
            VALIDATION_URL: this.#service('validation').internalUrl ?? '',
            ARTIFACT_URL: this.#service('artifact').internalUrl ?? '',
          }
        : {}),
      // The builder's clock is what the file says.
      ...(service === 'builder'
        ? {
            LD_PRELOAD: faketime,
            FAKETIME_TIMESTAMP_FILE: join(this.directory, 'clock'),
            FAKETIME_CACHE_DURATION: '1',
            FAKETIME_DONT_FAKE_MONOTONIC: '1',
            DONT_FAKE_MONOTONIC: '1',
          }
        : {}),
    }
    this.#starts += 1
    const logFile = join(this.directory, `${service}-${this.#starts}.log`)
    const env = { ...this.#environment, ...own }
    this.#services.set(service, await startServiceProcess({ service, awaited: service, logFile, env }))
  }

  /** Ends a service without a chance to put anything in order. */
  async kill(service: Service): Promise<void> {
    process.kill(this.#service(service).pid, 'SIGKILL')
    await this.#service(service)[Symbol.asyncDispose]()
  }

  /** Asks a service to stop, and waits until it has. */
  async stop(service: Service): Promise<void> {
    const begun = performance.now()
    await this.#service(service)[Symbol.asyncDispose]()
    const took = performance.now() - begun
    if (took > graceMs) throw new Error(`The ${service} service took ${Math.round(took)} ms to stop.`)
  }

  /** @throws Error when a service has ended by itself */
  async assertRunning(): Promise<void> {
    const lost = [...this.#services.values()].map((service) => service.lost)
    await Promise.race([...lost, Promise.resolve()])
  }

  signal(service: Service, signal: NodeJS.Signals): void {
    process.kill(this.#service(service).pid, signal)
  }

  /** Sets the builder's clock, as many seconds before or after the machine's. */
  async setClock(seconds: number): Promise<void> {
    await writeFile(join(this.directory, 'clock'), `${seconds < 0 ? '' : '+'}${seconds}\n`)
  }

  async fillWorkDirectory(): Promise<void> {
    // As much as there is room for.
    await run('dd', ['if=/dev/zero', `of=${join(this.directory, 'work/filling')}`, 'bs=1M']).catch(
      () => undefined,
    )
  }

  async emptyWorkDirectory(): Promise<void> {
    await rm(join(this.directory, 'work/filling'), { force: true })
  }

  async pauseMinio(): Promise<void> {
    await this.#minio.freeze()
  }

  resumeMinio(): void {
    this.#minio.thaw()
  }

  async killMinio(): Promise<void> {
    this.#minio.kill()
    await this.#minio[Symbol.asyncDispose]()
  }

  async startMinio(): Promise<void> {
    const { endpoint, accessKey, secretKey } = this.#minio
    const port = Number(new URL(endpoint).port)
    this.#minio = await startMinio({ dataDir: join(this.directory, 'minio'), port, accessKey, secretKey })
  }

  /** Where MinIO keeps the bytes of an upload. */
  async directoryOfUpload(content: Buffer): Promise<string> {
    const store = ownStore(await openMinioStore({ ...this.#minio, bucket }))
    const found = await findUpload(store, `sha256:${sha256Of(content)}`)
    if (found === undefined) throw new Error('There is no such upload.')
    return this.#directoryOf(found.objectKey)
  }

  /** Where MinIO keeps the bytes of the ISO that Earthly left for a build. */
  async directoryOfIso(buildId: string): Promise<string> {
    const store = ownStore(await openMinioStore({ ...this.#minio, bucket }))
    for await (const { key } of store.list('bases/')) {
      const id = /^bases\/([^/]+)\/base\.json$/.exec(key)?.[1]
      if (id === undefined) continue
      if ((await readBase(store, id))?.buildId === buildId) return this.#directoryOf(baseKey.data(id))
    }
    throw new Error('There is no such base.')
  }

  #directoryOf(objectKey: string): string {
    return join(this.directory, 'minio/objects', bucket, projectPrefix(ownProject), objectKey)
  }

  /** Gives the workers the job of a build once more. */
  async repeatJob(buildId: string): Promise<void> {
    const queue = new Queue(queueName, {
      connection: { path: this.redis.url, maxRetriesPerRequest: null },
      prefix: queuePrefix,
    })
    await queue.add('build', { buildId, attempt: 1 }, { jobId: `again-${buildId}`, removeOnComplete: true })
    await queue.close()
  }

  /** Keeps the logs of all parts. */
  async copyLogs(to: string): Promise<void> {
    await mkdir(to, { recursive: true })
    for (const name of await readdir(this.directory)) {
      if (name.endsWith('.log')) await copyFile(join(this.directory, name), join(to, name))
    }
  }

  /** The container of the worker's BuildKit daemon; undefined while there is none. */
  async daemon(): Promise<Docker.Container | undefined> {
    const { label } = labelFilter({ workerId: this.workerId })
    return this.#container([...label, `${labelNames.role}=buildkit`])
  }

  /** The container of a build's Earthly client; undefined while there is none. */
  async client(buildId: string): Promise<Docker.Container | undefined> {
    return this.#container([...labelFilter({ buildId }).label, `${labelNames.role}=client`])
  }

  async #container(label: string[]): Promise<Docker.Container | undefined> {
    const { docker } = this.docker
    const [found] = await docker.listContainers({ filters: { label } })
    return found === undefined ? undefined : docker.getContainer(found.Id)
  }

  /** What there is though no build runs: in Docker, in the working directory, and in MinIO. */
  async leftovers(): Promise<string[]> {
    const { docker } = this.docker
    const serves = (labels: Record<string, string> | undefined) =>
      ['buildkit', 'cache', 'client-network', 'egress-network'].includes(labels?.[labelNames.role] ?? '')
    const containers = await docker.listContainers({ all: true })
    const networks = await docker.listNetworks({ filters: { type: ['custom'] } })
    const { Volumes: volumes } = await docker.listVolumes()
    const found = [
      ...containers.filter(({ Labels }) => !serves(Labels)).flatMap(({ Names }) => Names),
      ...networks.filter(({ Labels }) => !serves(Labels)).map(({ Name }) => Name),
      ...volumes.filter(({ Labels }) => !serves(Labels)).map(({ Name }) => Name),
    ]
    const work = await readdir(join(this.directory, 'work'))
    const { uploads } = await this.#minioClient().listIncompleteUploadsQuery(bucket, '', '', '', '')
    return [
      ...found,
      ...work.map((name) => `working directory ${name}`),
      ...uploads.map(({ key }) => `unfinished upload ${key}`),
    ]
  }

  async removeUnfinishedUploads(): Promise<void> {
    const client = this.#minioClient()
    const { uploads } = await client.listIncompleteUploadsQuery(bucket, '', '', '', '')
    for (const { key, uploadId } of uploads) await client.abortMultipartUpload(bucket, key, uploadId)
  }

  #minioClient(): Client {
    const { hostname, port } = new URL(this.#minio.endpoint)
    return new Client({ ...this.#minio, endPoint: hostname, port: Number(port), useSSL: false })
  }

  #service(name: Service): ServiceProcess {
    const found = this.#services.get(name)
    if (found === undefined) throw new Error(`There is no ${name} service.`)
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of this.#services.values()) await service[Symbol.asyncDispose]()
    await this.#minio[Symbol.asyncDispose]()
    await this.#resources.disposeAsync()
  }
}
