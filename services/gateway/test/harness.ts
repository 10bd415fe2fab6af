import { randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { startArtifact } from '@edgesmith/artifact-service/service'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { projectPrefix, ProjectStores } from '@edgesmith/store/project-stores'
import { startValidation } from '@edgesmith/validation-service/service'
import { operatorKey } from '../../../test/support/as-operator.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import type { AdmissionLimits } from '../src/admission.ts'
import type { RateLimits } from '../src/rate-limits.ts'
import { startGateway } from '../src/service.ts'

const makeRepository = new URL('../../../deploy/fixture/make-repository.sh', import.meta.url).pathname

/** The gateway with everything behind it but a builder: builds stay queued. */
export type Harness = AsyncDisposable & {
  readonly url: string
  readonly stores: ProjectStores
  /** The part of the project that requests act in unless they say another. */
  readonly store: ObjectStore
  readonly redisUrl: string
  /** Environment variables of another service that works on the same. */
  readonly environment: Readonly<Record<string, string>>
  /** Keys of everything in the object store but tenants, API keys and audit records, those of the project in its part of it. */
  readonly keys: () => Promise<string[]>
  /** Files the object store is still receiving. */
  readonly incoming: () => Promise<string[]>
}

const unlimited: RateLimits = { perKey: 0, perAddress: 0 }
const manyOfAll: AdmissionLimits = { queued: 1_000_000, queuedOfTenant: 1_000_000, uploads: 1000 }

/**
 * Starts the gateway, the validation and the artifact service on a directory of their own, and on a Redis of their
 * own unless they are given one.
 */
export async function startHarness({
  uploadLimitBytes = 1_000_000,
  idleTimeoutSeconds = 60,
  uploadQuotaBytes = undefined as number | undefined,
  admission = manyOfAll,
  rateLimits = unlimited,
  corsOrigins = [] as readonly string[],
  secretsKeys = [randomBytes(32).toString('base64')] as readonly string[],
  redis: given = undefined as { readonly url: string } | undefined,
} = {}): Promise<Harness> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-gateway-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const repository = path.join(directory, 'canvos.git')
  await promisify(execFile)(makeRepository, [repository])

  const objects = path.join(directory, 'objects')
  const stores = new ProjectStores(await openDirectoryStore(objects))
  const onUnexpectedExit = (error: Error) => {
    throw error
  }
  const redis =
    given ??
    resources.use(await startRedisServer({ dataDirectory: path.join(directory, 'redis'), onUnexpectedExit }))
  const common = {
    logLevel: 'silent',
    host: '127.0.0.1',
    port: 0,
    objectStore: { kind: 'directory', directory: objects },
  } as const
  const validation = resources.use(
    await startValidation({
      ...common,
      internal: { host: '127.0.0.1', port: 0 },
      serviceTlsDirectory: tlsDirectoryOf('validation'),
      canvos: { repository, mirrorDirectory: path.join(directory, 'mirror.git'), refreshMs: 60_000 },
      defaultArgFile: undefined,
      allowedImages: [],
    }),
  )
  const artifact = resources.use(
    await startArtifact({
      ...common,
      internal: { host: '127.0.0.1', port: 0 },
      serviceTlsDirectory: tlsDirectoryOf('artifact'),
      publicUrl: undefined,
      trustedProxies: ['loopback'],
      signingKeys: ['k'.repeat(32)],
    }),
  )
  const gateway = resources.use(
    await startGateway({
      ...common,
      identity: { bootstrapKey: operatorKey },
      allowances: [],
      serviceTlsDirectory: tlsDirectoryOf('gateway'),
      redisUrl: redis.url,
      validationUrl: validation.internalUrl,
      artifactUrl: artifact.internalUrl,
      uploadLimits: { limitBytes: uploadLimitBytes, quotaBytes: uploadQuotaBytes },
      resumableUploadTtlMs: 60_000,
      buildTimeoutSeconds: 600,
      retention: { uploadUnusedMs: 86_400_000, baseUnusedMs: 86_400_000 },
      admission,
      rateLimits,
      trustedProxies: [],
      corsOrigins,
      idleTimeoutSeconds,
      secrets: { keys: secretsKeys, keyFile: undefined },
    }),
  )
  const opened = resources.move()
  return {
    url: gateway.url,
    stores,
    store: stores.of(ownProject),
    redisUrl: redis.url,
    environment: {
      REDIS_URL: redis.url,
      OBJECT_STORE: 'directory',
      OBJECT_DIRECTORY: objects,
      CANVOS_REPOSITORY: repository,
      CANVOS_MIRROR_DIRECTORY: path.join(directory, 'mirror.git'),
      VALIDATION_URL: validation.internalUrl,
      ARTIFACT_URL: artifact.internalUrl,
      SERVICE_TLS_DIRECTORY: tlsDirectoryOf('gateway'),
      BOOTSTRAP_API_KEY: operatorKey,
    },
    keys: async () => {
      const keys: string[] = []
      for await (const { key } of stores.whole.list('')) {
        if (!/^(identity\/|audit\/|retention\/identity\.json$)/.test(key))
          keys.push(key.replace(projectPrefix(ownProject), ''))
      }
      return keys
    },
    incoming: () => readdir(path.join(objects, '.incoming')),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
