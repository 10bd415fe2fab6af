import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { certificateDirectory, makeServiceCertificates } from '@edgesmith/certificates/service-certificates'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import { keptApiKey } from '@edgesmith/standalone-service/kept-api-key'
import { keepProvenanceKey, keepSecretsKey } from '@edgesmith/standalone-service/kept-key'
import { keptSecrets } from '@edgesmith/standalone-service/kept-secrets'
import { startMinio, type MinioServer } from '../minio/server.ts'
import { startServiceProcess, type ServiceProcess } from '../setup/service-process.ts'

export type StackOptions = {
  /** Where everything of the stack is kept; two stacks need two directories. */
  readonly directory: string
  /** Configuration beside the addresses and secrets, which the stack makes itself: DOCKER_HOST,
   * ENGINE_IMAGE, CANVOS_REPOSITORY, ports. */
  readonly env: Readonly<Record<string, string>>
}

type StackProcess = 'gateway' | 'validation' | 'builder' | 'artifact' | 'redis' | 'minio'

/** A stack that runs; disposing stops its processes and keeps its data. */
export type RunningStack = AsyncDisposable & {
  readonly urls: Readonly<Record<'gateway' | 'validation' | 'builder' | 'artifact' | 'minio', string>>
  /** File that has the operator's API key. */
  readonly apiKeyFile: string
  /** Its Redis: a socket that only this user can reach. */
  readonly redisUrl: string
  readonly minio: Pick<MinioServer, 'endpoint' | 'accessKey' | 'secretKey'>
  /** Process ids. */
  readonly pids: Readonly<Record<StackProcess, number>>
  /** Rejects when one of the processes ends by itself. */
  readonly lost: Promise<never>
}

/** In the environment of every process of a stack, with its directory as the value. */
export const stackMark = 'EDGESMITH_STACK_DIRECTORY'

/** How long the services' certificates hold, in milliseconds: a year. They are renewed at each start. */
const certificateLifetimeMs = 365 * 24 * 60 * 60_000

/** The name of a stack's worker: the start of all it makes in Docker. */
export function stackWorkerId(directory: string): string {
  return `stack-${createHash('sha256').update(directory).digest('hex').slice(0, 8)}`
}

/**
 * Starts the four services as processes of their own, on a redis-server and a MinIO server. The
 * kernel ends the services and redis-server when this process dies.
 */
export async function startStack({ directory, env }: StackOptions): Promise<RunningStack> {
  process.env[stackMark] = directory
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const secrets = await keptSecrets(join(directory, 'secrets.json'), [
    'signingKey',
    'minioAccessKey',
    'minioSecretKey',
  ])
  const apiKeyFile = join(directory, 'api-key')
  await keptApiKey(apiKeyFile)
  await using resources = new AsyncDisposableStack()
  const redisLost = Promise.withResolvers<never>()
  redisLost.promise.catch(() => undefined)
  const redis = resources.use(
    await startRedisServer({ dataDirectory: join(directory, 'redis'), onUnexpectedExit: redisLost.reject }),
  )
  const minio = resources.use(
    await startMinio({
      dataDir: join(directory, 'minio'),
      accessKey: secrets.minioAccessKey,
      secretKey: secrets.minioSecretKey,
    }),
  )
  const certificates = join(directory, 'service-tls')
  await makeServiceCertificates(certificates, { lifetimeMs: certificateLifetimeMs })
  const common = {
    VALIDATION_INTERNAL_PORT: '0',
    ARTIFACT_INTERNAL_PORT: '0',
    ...env,
    REDIS_URL: redis.url,
    OBJECT_STORE: 'minio',
    MINIO_ENDPOINT: minio.endpoint,
    MINIO_ACCESS_KEY: minio.accessKey,
    MINIO_SECRET_KEY: minio.secretKey,
    SIGNING_KEYS: secrets.signingKey,
    PROVENANCE_KEYS: await keepProvenanceKey(directory),
    SECRETS_KEY_FILE: await keepSecretsKey(directory),
    BUILDER_ID: stackWorkerId(directory),
  }
  const start = async (
    service: 'artifact' | 'builder' | 'gateway' | 'validation',
    own: Record<string, string> = {},
  ): Promise<ServiceProcess> =>
    resources.use(
      await startServiceProcess({
        service,
        awaited: service,
        logFile: join(directory, `${service}.log`),
        env: { ...common, ...own },
      }),
    )
  // Each process has a mirror of its own, as on machines of their own.
  const artifact = await start('artifact', {
    SERVICE_TLS_DIRECTORY: certificateDirectory(certificates, 'artifact'),
    ARTIFACT_CACHE_DIRECTORY: join(directory, 'artifact-cache'),
    ARTIFACT_CACHE_MIB: '8192',
    // The gateway, which tells whom it downloads for.
    TRUSTED_PROXIES: '127.0.0.1',
  })
  const validation = await start('validation', {
    SERVICE_TLS_DIRECTORY: certificateDirectory(certificates, 'validation'),
    CANVOS_MIRROR_DIRECTORY: join(directory, 'validation-canvos.git'),
  })
  const builder = await start('builder', { CANVOS_MIRROR_DIRECTORY: join(directory, 'builder-canvos.git') })
  const gateway = await start('gateway', {
    SERVICE_TLS_DIRECTORY: certificateDirectory(certificates, 'gateway'),
    VALIDATION_URL: validation.internalUrl ?? '',
    ARTIFACT_URL: artifact.internalUrl ?? '',
    // A key of the caller's own takes the place of the kept one.
    ...('BOOTSTRAP_API_KEY' in env ? {} : { BOOTSTRAP_API_KEY_FILE: apiKeyFile }),
  })

  const lost = Promise.race([redisLost.promise, artifact.lost, validation.lost, builder.lost, gateway.lost])
  lost.catch(() => undefined)
  const opened = resources.move()
  return {
    urls: {
      gateway: gateway.url,
      validation: validation.url,
      builder: builder.url,
      artifact: artifact.url,
      minio: minio.endpoint,
    },
    apiKeyFile,
    redisUrl: redis.url,
    minio,
    pids: {
      gateway: gateway.pid,
      validation: validation.pid,
      builder: builder.pid,
      artifact: artifact.pid,
      redis: redis.pid,
      minio: minio.pid,
    },
    lost,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
