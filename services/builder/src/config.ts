import { hostname } from 'node:os'
import {
  canvosVariables,
  listenVariables,
  loggingVariables,
  objectStoreVariables,
  redisVariables,
  stopVariables,
  toObjectStoreConfig,
} from '@edgesmith/service/common-variables'
import {
  ConfigurationError,
  automatic,
  integer,
  optional,
  readEnvironment,
  text,
  type Environment,
} from '@edgesmith/service/environment'
import { secretsVariables, toSecretsConfig, type SecretsConfig } from '@edgesmith/secrets/keys'
import {
  retentionVariables,
  toRetentionSettings,
  type RetentionSettings,
} from '@edgesmith/retention/settings'
import { workerIdPattern } from '@edgesmith/engine/labels'
import { maxReserve, minReserve } from '@edgesmith/stamp/placeholder'
import type { ObjectStoreConfig } from '@edgesmith/store/open-store'
import { engineVariables, toEngineSettings, type EngineSettings } from './engine-settings.ts'
import { networkVariables, toNetworkSettings, type NetworkSettings } from './network-settings.ts'

const GiB = 1024 ** 3

/** The environment variables of the builder. */
export const builderVariables = {
  ...loggingVariables,
  ...stopVariables,
  ...listenVariables('BUILDER', 8082),
  ...redisVariables,
  ...objectStoreVariables,
  ...secretsVariables,
  ...canvosVariables,
  BUILDER_ID: optional(
    text({
      description:
        'Name of this worker, its own among all workers of a Docker and the same after a restart, so that it finds what it left behind; the host name when not set.',
    }),
  ),
  BUILDER_CONCURRENCY: automatic({
    minimum: 1,
    maximum: 64,
    description:
      'Builds run at a time; `auto` is one for every 2 CPUs and 4 GiB of memory that the BuildKit daemon may use, and at least one.',
  }),
  BUILD_TIMEOUT_SECONDS: integer({
    default: 7200,
    minimum: 1,
    maximum: 86_400,
    description: 'Time limit of a build whose spec sets none, in seconds.',
  }),
  BUILDER_LOCK_SECONDS: integer({
    default: 30,
    minimum: 5,
    maximum: 3600,
    description: 'Time after which a worker that is not heard of is taken for dead, in seconds.',
  }),
  BUILDER_LOST_LIMIT: integer({
    default: 2,
    minimum: 0,
    maximum: 100,
    description: 'How often a build may lose its worker, or its BuildKit daemon, and run again.',
  }),
  LOG_LIMIT_BYTES: integer({
    default: 64 * 1024 ** 2,
    minimum: 1024,
    maximum: 4 * GiB,
    description: 'What is kept of the log of a build, in bytes.',
  }),
  ...engineVariables,
  ...networkVariables,
  PREFLIGHT_FREE_BYTES: integer({
    default: 10 * GiB,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description:
      'Free disk that a worker needs to begin a build, besides six times the size of its inputs, in bytes.',
  }),
  USER_DATA_RESERVE_BYTES: integer({
    default: 256 * 1024,
    minimum: minReserve,
    maximum: maxReserve,
    description:
      'Room for user-data in an ISO that others are stamped from, in bytes; an ISO with larger user-data is laid out anew.',
  }),
  IMAGE_DIGEST_TTL_SECONDS: integer({
    default: 600,
    minimum: 1,
    maximum: 31_536_000,
    description:
      'How long it is taken for granted which image a reference stands for, before its registry is asked again, in seconds.',
  }),
  ...retentionVariables,
  RETENTION_INTERVAL_SECONDS: integer({
    default: 3600,
    minimum: 1,
    maximum: 31_536_000,
    description:
      'How often one of the workers deletes builds by the retention policies and removes what nothing refers to, in seconds.',
  }),
  WORK_DIRECTORY: optional(
    text({ description: 'Directory for short-lived working trees; that of the system when not set.' }),
  ),
}

export type BuilderConfig = EngineSettings & {
  readonly logLevel: string
  /** How long it takes to stop at the most; half a minute when left out. */
  readonly graceSeconds?: number
  readonly host: string
  readonly port: number
  readonly redisUrl: string
  readonly objectStore: ObjectStoreConfig
  readonly secrets: SecretsConfig
  readonly canvos: { readonly repository: string; readonly mirrorDirectory: string }
  readonly workerId: string
  /** How many builds run at a time; by the machine when left out. */
  readonly concurrency: number | undefined
  readonly timeoutSeconds: number
  readonly lockSeconds: number
  readonly lostLimit: number
  readonly logLimitBytes: number
  readonly workDirectory: string | undefined
  readonly preflightFreeBytes: number
  readonly userDataReserveBytes: number
  readonly imageDigestTtlSeconds: number
  readonly retention: RetentionSettings & { readonly intervalSeconds: number }
  readonly network: NetworkSettings
}

/** Reads the builder's environment. */
export function readEnv(source: NodeJS.ProcessEnv = process.env): Environment<typeof builderVariables> {
  return readEnvironment(builderVariables, source)
}

/** The builder's configuration. @throws ConfigurationError naming every fault. */
export function toConfig(env: Environment<typeof builderVariables>, ownHostname = hostname()): BuilderConfig {
  const faults = [...env.faults]
  const objectStore = toObjectStoreConfig(env, faults)
  const secrets = toSecretsConfig(env, faults)
  const workerId = env.BUILDER_ID ?? ownHostname
  if (!workerIdPattern.test(workerId)) {
    faults.push(
      `BUILDER_ID has to be at most 63 letters, digits and \`_.-\` (it is ${JSON.stringify(workerId)})`,
    )
  }
  const engine = toEngineSettings(env, faults)
  const network = toNetworkSettings(env, faults)
  if (faults.length > 0) throw new ConfigurationError(faults)
  return {
    logLevel: env.LOG_LEVEL,
    graceSeconds: env.GRACE_SECONDS,
    host: env.BUILDER_HOST,
    port: env.BUILDER_PORT,
    redisUrl: env.REDIS_URL,
    objectStore,
    secrets,
    canvos: { repository: env.CANVOS_REPOSITORY, mirrorDirectory: env.CANVOS_MIRROR_DIRECTORY },
    workerId,
    concurrency: env.BUILDER_CONCURRENCY === 'auto' ? undefined : env.BUILDER_CONCURRENCY,
    timeoutSeconds: env.BUILD_TIMEOUT_SECONDS,
    lockSeconds: env.BUILDER_LOCK_SECONDS,
    lostLimit: env.BUILDER_LOST_LIMIT,
    logLimitBytes: env.LOG_LIMIT_BYTES,
    workDirectory: env.WORK_DIRECTORY,
    preflightFreeBytes: env.PREFLIGHT_FREE_BYTES,
    userDataReserveBytes: env.USER_DATA_RESERVE_BYTES,
    imageDigestTtlSeconds: env.IMAGE_DIGEST_TTL_SECONDS,
    retention: { ...toRetentionSettings(env), intervalSeconds: env.RETENTION_INTERVAL_SECONDS },
    ...engine,
    network,
  }
}
