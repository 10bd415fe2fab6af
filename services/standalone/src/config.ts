import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as artifact from '@edgesmith/artifact-service/config'
import { certificateDirectory, makeServiceCertificates } from '@edgesmith/certificates/service-certificates'
import * as builder from '@edgesmith/builder-service/config'
import * as gateway from '@edgesmith/gateway-service/config'
import { ConfigurationError, readEnvironment, text } from '@edgesmith/service/environment'
import { defaultGraceSeconds } from '@edgesmith/service/grace-period'
import { isLoopback } from '@edgesmith/service/listen-policy'
import type { ServiceName } from '@edgesmith/service/service-name'
import * as validation from '@edgesmith/validation-service/config'
import { keptApiKey, tellNewKey } from './kept-api-key.ts'
import { keepProvenanceKey, keepSecretsKey } from './kept-key.ts'
import { keptSecrets } from './kept-secrets.ts'

/** The environment variables of standalone; besides these it takes all of the four services. */
export const standaloneVariables = {
  EDGESMITH_DATA_DIRECTORY: text({
    default: '.edgesmith/standalone',
    description: 'Directory of everything that standalone keeps: objects, queue, the CanvOS mirror, secrets.',
  }),
}

/**
 * How long the certificates hold by which the services know each other, in milliseconds: five years, for they are made
 * at each start, and are of use on this host alone.
 */
const certificateLifetimeMs = 5 * 365 * 24 * 60 * 60_000

export type StandaloneConfig = {
  readonly dataDirectory: string
  readonly graceSeconds: number
  /** Whether standalone runs a redis-server of its own; not when REDIS_URL names one. */
  readonly ownRedis: boolean
  readonly artifact: artifact.ArtifactConfig
  readonly validation: validation.ValidationConfig
  readonly builder: builder.BuilderConfig
  readonly gateway: gateway.GatewayConfig
}

/**
 * The configuration of the four services in one process: what the environment sets, and for the rest
 * parts that need nothing but the data directory. Makes that directory's secrets where missing, and on loopback
 * an operator's API key where the environment sets none.
 * @throws ConfigurationError naming every fault of every service.
 */
export async function readConfig(source: NodeJS.ProcessEnv = process.env): Promise<StandaloneConfig> {
  const own = readEnvironment(standaloneVariables, source)
  const { EDGESMITH_DATA_DIRECTORY: dataDirectory } = own
  const certificates = join(dataDirectory, 'service-tls')
  await rm(certificates, { recursive: true, force: true })
  await makeServiceCertificates(certificates, { lifetimeMs: certificateLifetimeMs })
  const { signingKey } = await keptSecrets(join(dataDirectory, 'secrets.json'), ['signingKey'])
  const env = {
    OBJECT_STORE: 'directory',
    OBJECT_DIRECTORY: join(dataDirectory, 'objects'),
    CANVOS_MIRROR_DIRECTORY: join(dataDirectory, 'canvos.git'),
    SIGNING_KEYS: signingKey,
    PROVENANCE_KEYS: await keepProvenanceKey(dataDirectory),
    // For the gateway, which learns where they listen.
    VALIDATION_INTERNAL_PORT: '0',
    ARTIFACT_INTERNAL_PORT: '0',
    SECRETS_KEY_FILE: await keepSecretsKey(dataDirectory),
    // The gateway, which tells whom it downloads for.
    TRUSTED_PROXIES: '127.0.0.1',
    ...source,
  }
  const faults = new Set<string>(own.faults)
  const collect = <T>(read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error
      for (const fault of error.faults) faults.add(fault)
      return undefined
    }
  }
  if (needsKey(source)) Object.assign(env, { BOOTSTRAP_API_KEY_FILE: await makeKey(dataDirectory) })
  const envOf = (service: ServiceName) => ({
    ...env,
    SERVICE_TLS_DIRECTORY: certificateDirectory(certificates, service),
  })
  const configs = {
    artifact: collect(() => artifact.toConfig(artifact.readEnv(envOf('artifact')))),
    validation: collect(() => validation.toConfig(validation.readEnv(envOf('validation')))),
    builder: collect(() => builder.toConfig(builder.readEnv(env))),
    gateway: collect(() => gateway.toConfig(gateway.readEnv(envOf('gateway')))),
  }
  if (!isComplete(configs) || faults.size > 0) throw new ConfigurationError([...faults])
  const { graceSeconds = defaultGraceSeconds } = configs.gateway
  return { dataDirectory, graceSeconds, ownRedis: source['REDIS_URL'] === undefined, ...configs }
}

/** Whether nothing says who is let in, and no other host can reach the service. */
function needsKey({
  GATEWAY_HOST: host = '127.0.0.1',
  BOOTSTRAP_API_KEY: key,
  BOOTSTRAP_API_KEY_FILE: file,
}: NodeJS.ProcessEnv): boolean {
  return key === undefined && file === undefined && isLoopback(host)
}

/** Makes the operator's key at the first start, and tells it; answers the file that has it. */
async function makeKey(dataDirectory: string): Promise<string> {
  const file = join(dataDirectory, 'api-key')
  const { key, isNew } = await keptApiKey(file)
  if (isNew) tellNewKey(key, file)
  return file
}

function isComplete<T extends Record<string, object | undefined>>(
  configs: T,
): configs is T & { [Name in keyof T]: NonNullable<T[Name]> } {
  return Object.values(configs).every((config) => config !== undefined)
}
