import type { ObjectStoreConfig } from '@edgesmith/store/open-store'
import {
  apiTokenVariables,
  listenVariables,
  loggingVariables,
  objectStoreVariables,
  toObjectStoreConfig,
} from '@edgesmith/service/common-variables'
import {
  ConfigurationError,
  list,
  optional,
  readEnvironment,
  url,
  type Environment,
} from '@edgesmith/service/environment'
import { listenFaults } from '@edgesmith/service/listen-policy'

/** The environment variables of the artifact service. */
export const artifactVariables = {
  ...loggingVariables,
  ...listenVariables('ARTIFACT', 8083),
  ...apiTokenVariables,
  ...objectStoreVariables,
  ARTIFACT_PUBLIC_URL: optional(
    url(['http', 'https'], {
      description:
        'Where clients reach this service, the start of every signed URL; its own address when not set.',
    }),
  ),
  SIGNING_KEYS: list({
    default: [],
    secret: true,
    description:
      'Required. Keys of the signed URLs, each at least 32 characters: the first signs, all are accepted, so that a key can be replaced while its links live.',
  }),
}

export type ArtifactConfig = {
  readonly logLevel: string
  readonly host: string
  readonly port: number
  readonly apiTokens: readonly string[]
  readonly objectStore: ObjectStoreConfig
  readonly publicUrl: string | undefined
  readonly signingKeys: readonly string[]
}

/** Reads the artifact service's environment. */
export function readEnv(source: NodeJS.ProcessEnv = process.env): Environment<typeof artifactVariables> {
  return readEnvironment(artifactVariables, source)
}

/** The artifact service's configuration. @throws ConfigurationError naming every fault. */
export function toConfig(env: Environment<typeof artifactVariables>): ArtifactConfig {
  const faults = [...env.faults, ...listenFaults('ARTIFACT_HOST', env.ARTIFACT_HOST, env.API_TOKENS)]
  const objectStore = toObjectStoreConfig(env, faults)
  if (env.SIGNING_KEYS.length === 0)
    faults.push('SIGNING_KEYS is required; make a key with `openssl rand -hex 32`')
  if (env.SIGNING_KEYS.some((key) => key.length < 32)) {
    faults.push('SIGNING_KEYS has a key of less than 32 characters; make one with `openssl rand -hex 32`')
  }
  if (faults.length > 0) throw new ConfigurationError(faults)
  return {
    logLevel: env.LOG_LEVEL,
    host: env.ARTIFACT_HOST,
    port: env.ARTIFACT_PORT,
    apiTokens: env.API_TOKENS,
    objectStore,
    publicUrl: env.ARTIFACT_PUBLIC_URL,
    signingKeys: env.SIGNING_KEYS,
  }
}
