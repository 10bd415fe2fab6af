import { identityVariables, toIdentitySettings, type IdentitySettings } from '@edgesmith/identity/settings'
import type { Allowance } from '@edgesmith/outgoing/address-policy'
import { outgoingVariables, toAllowances } from '@edgesmith/outgoing/settings'
import type { ObjectStoreConfig } from '@edgesmith/store/open-store'
import {
  clientVariables,
  listenVariables,
  loggingVariables,
  objectStoreVariables,
  redisVariables,
  serviceTlsVariables,
  stopVariables,
  toObjectStoreConfig,
} from '@edgesmith/service/common-variables'
import { secretsVariables, toSecretsConfig, type SecretsConfig } from '@edgesmith/secrets/keys'
import {
  retentionVariables,
  toRetentionSettings,
  type RetentionSettings,
} from '@edgesmith/retention/settings'
import {
  ConfigurationError,
  integer,
  list,
  optional,
  readEnvironment,
  url,
  type Environment,
} from '@edgesmith/service/environment'
import { originFaults } from '@edgesmith/service/cross-origin'
import { trustedProxyFaults } from '@edgesmith/service/listen-policy'
import { defaultExpandedLimitBytes, defaultExpansionRatio } from '@edgesmith/uploads/upload-limits'
import type { UploadLimits } from '@edgesmith/uploads/upload-limits'
import type { AdmissionLimits } from './admission.ts'
import type { RateLimits } from './rate-limits.ts'

/** The environment variables of the gateway. */
export const gatewayVariables = {
  ...loggingVariables,
  ...stopVariables,
  ...listenVariables('GATEWAY', 8080),
  ...identityVariables,
  ...outgoingVariables,
  ...serviceTlsVariables,
  ...redisVariables,
  ...objectStoreVariables,
  ...secretsVariables,
  VALIDATION_URL: url(['https'], {
    default: 'https://127.0.0.1:8091',
    description: 'The validation service, at its internal port.',
  }),
  ARTIFACT_URL: url(['https'], {
    default: 'https://127.0.0.1:8093',
    description: 'The artifact service, at its internal port.',
  }),
  UPLOAD_LIMIT_BYTES: integer({
    default: 64 * 1024 ** 3,
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Largest uploaded file, in bytes.',
  }),
  UPLOAD_QUOTA_BYTES: optional(
    integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'What all uploads of a project may hold together, in bytes; without it the store is the limit.',
    }),
  ),
  UPLOAD_EXPANDED_LIMIT_BYTES: integer({
    default: defaultExpandedLimitBytes,
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Largest size of the content of an uploaded Zstandard or gzip file, in bytes.',
  }),
  UPLOAD_EXPANSION_RATIO: integer({
    default: defaultExpansionRatio,
    minimum: 1,
    maximum: 1_000_000,
    description:
      'How many times larger than an uploaded Zstandard or gzip file its content may be, beyond 64 MiB of it.',
  }),
  RESUMABLE_UPLOAD_TTL_SECONDS: integer({
    default: 86_400,
    minimum: 1,
    maximum: 31_536_000,
    description:
      'Time in which a resumable upload has to be completed, in seconds. MinIO gives up unfinished ones after `stale_uploads_expiry`, by default a day.',
  }),
  QUEUE_LIMIT: integer({
    default: 100_000,
    minimum: 1,
    maximum: 10_000_000,
    description: 'Builds that may wait at a time, of all tenants.',
  }),
  TENANT_QUEUE_LIMIT: integer({
    default: 20_000,
    minimum: 1,
    maximum: 10_000_000,
    description: 'Builds of a tenant that may wait at a time, where the tenant has no limit of its own.',
  }),
  UPLOADS_AT_ONCE: integer({
    default: 256,
    minimum: 1,
    maximum: 100_000,
    description: 'Uploads that a gateway receives at a time.',
  }),
  RATE_LIMIT_PER_KEY: integer({
    default: 30_000,
    minimum: 0,
    maximum: 100_000_000,
    description:
      'Requests of an API key, or of the subject of a token, that are answered in a minute, by all gateways of a Redis together; 0 sets no limit.',
  }),
  RATE_LIMIT_PER_ADDRESS: integer({
    default: 6000,
    minimum: 0,
    maximum: 100_000_000,
    description:
      'The same of an address, or a /64 of IPv6: of requests that need no credentials, as with a signed URL, and, counted apart, of those whose credentials are refused.',
  }),
  GATEWAY_TRUSTED_PROXIES: list({
    default: [],
    description:
      'Proxies whose `X-Forwarded-For` tells the gateway the address of a client: addresses, networks (CIDR), `loopback`, `linklocal`, `uniquelocal`.',
  }),
  ...clientVariables,
  ...retentionVariables,
  BUILD_TIMEOUT_SECONDS: integer({
    default: 7200,
    minimum: 1,
    maximum: 86_400,
    description: 'Time limit of a build whose spec sets none, in seconds.',
  }),
}

export type GatewayConfig = {
  readonly logLevel: string
  /** How long it takes to stop at the most; half a minute when left out. */
  readonly graceSeconds?: number
  readonly host: string
  readonly port: number
  readonly identity: IdentitySettings
  /** What may be called though it is not public. */
  readonly allowances: readonly Allowance[]
  readonly serviceTlsDirectory: string
  readonly redisUrl: string
  readonly objectStore: ObjectStoreConfig
  readonly secrets: SecretsConfig
  readonly validationUrl: string
  readonly artifactUrl: string
  readonly uploadLimits: UploadLimits
  readonly resumableUploadTtlMs: number
  readonly buildTimeoutSeconds: number
  readonly retention: RetentionSettings
  readonly admission: AdmissionLimits
  readonly rateLimits: RateLimits
  readonly trustedProxies: readonly string[]
  readonly idleTimeoutSeconds: number
  readonly corsOrigins: readonly string[]
}

/** Reads the gateway's environment. */
export function readEnv(source: NodeJS.ProcessEnv = process.env): Environment<typeof gatewayVariables> {
  return readEnvironment(gatewayVariables, source)
}

/** The gateway's configuration. @throws ConfigurationError naming every fault. */
export function toConfig(env: Environment<typeof gatewayVariables>): GatewayConfig {
  const faults = [...env.faults]
  const objectStore = toObjectStoreConfig(env, faults)
  const identity = toIdentitySettings(env, faults)
  const allowances = toAllowances(env, faults)
  const secrets = toSecretsConfig(env, faults)
  faults.push(...originFaults('CORS_ORIGINS', env.CORS_ORIGINS))
  faults.push(...trustedProxyFaults('GATEWAY_TRUSTED_PROXIES', env.GATEWAY_TRUSTED_PROXIES))
  if (faults.length > 0) throw new ConfigurationError(faults)
  return {
    logLevel: env.LOG_LEVEL,
    graceSeconds: env.GRACE_SECONDS,
    host: env.GATEWAY_HOST,
    port: env.GATEWAY_PORT,
    identity,
    allowances,
    serviceTlsDirectory: env.SERVICE_TLS_DIRECTORY,
    redisUrl: env.REDIS_URL,
    objectStore,
    secrets,
    validationUrl: env.VALIDATION_URL,
    artifactUrl: env.ARTIFACT_URL,
    uploadLimits: {
      limitBytes: env.UPLOAD_LIMIT_BYTES,
      quotaBytes: env.UPLOAD_QUOTA_BYTES,
      expandedLimitBytes: env.UPLOAD_EXPANDED_LIMIT_BYTES,
      expansionRatio: env.UPLOAD_EXPANSION_RATIO,
    },
    resumableUploadTtlMs: env.RESUMABLE_UPLOAD_TTL_SECONDS * 1000,
    buildTimeoutSeconds: env.BUILD_TIMEOUT_SECONDS,
    retention: toRetentionSettings(env),
    admission: {
      queued: env.QUEUE_LIMIT,
      queuedOfTenant: env.TENANT_QUEUE_LIMIT,
      uploads: env.UPLOADS_AT_ONCE,
    },
    rateLimits: { perKey: env.RATE_LIMIT_PER_KEY, perAddress: env.RATE_LIMIT_PER_ADDRESS },
    trustedProxies: env.GATEWAY_TRUSTED_PROXIES,
    idleTimeoutSeconds: env.IDLE_TIMEOUT_SECONDS,
    corsOrigins: env.CORS_ORIGINS,
  }
}
