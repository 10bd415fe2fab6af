import type { Address } from '@edgesmith/service/lifecycle'
import type { ObjectStoreConfig } from '@edgesmith/store/open-store'
import {
  canvosVariables,
  forGateway,
  listenVariables,
  loggingVariables,
  objectStoreVariables,
  serviceTlsVariables,
  stopVariables,
  toObjectStoreConfig,
} from '@edgesmith/service/common-variables'
import {
  ConfigurationError,
  list,
  optional,
  readEnvironment,
  text,
  type Environment,
} from '@edgesmith/service/environment'

/** The environment variables of the validation service. */
export const validationVariables = {
  ...loggingVariables,
  ...stopVariables,
  ...listenVariables('VALIDATION', 8081),
  ...listenVariables('VALIDATION_INTERNAL', 8091, forGateway),
  ...serviceTlsVariables,
  ...objectStoreVariables,
  ...canvosVariables,
  DEFAULT_ARG_FILE: optional(
    text({
      description:
        'An `.arg` file whose arguments every build gets unless its own set them, as for a registry mirror (`SPECTRO_PUB_REPO`).',
    }),
  ),
  ALLOWED_IMAGES: list({
    default: [],
    description:
      'Images that builds may be made to use, as prefixes of registry and namespace such as `quay.io/kairos`: what an argument or the Dockerfile of an overlay names elsewhere is refused. Those of CanvOS itself and of `DEFAULT_ARG_FILE` need not be listed. When empty, all are allowed.',
  }),
}

export type ValidationConfig = {
  readonly logLevel: string
  /** How long it takes to stop at the most; half a minute when left out. */
  readonly graceSeconds?: number
  readonly host: string
  readonly port: number
  /** Where the gateway reaches it; the other address has health alone. */
  readonly internal: Address
  readonly serviceTlsDirectory: string
  readonly objectStore: ObjectStoreConfig
  readonly canvos: {
    readonly repository: string
    readonly mirrorDirectory: string
    readonly refreshMs: number
  }
  readonly defaultArgFile: string | undefined
  readonly allowedImages: readonly string[]
}

/** Reads the validation service's environment. */
export function readEnv(source: NodeJS.ProcessEnv = process.env): Environment<typeof validationVariables> {
  return readEnvironment(validationVariables, source)
}

/** The validation service's configuration. @throws ConfigurationError naming every fault. */
export function toConfig(env: Environment<typeof validationVariables>): ValidationConfig {
  const faults = [...env.faults]
  const objectStore = toObjectStoreConfig(env, faults)
  if (faults.length > 0) throw new ConfigurationError(faults)
  return {
    logLevel: env.LOG_LEVEL,
    graceSeconds: env.GRACE_SECONDS,
    host: env.VALIDATION_HOST,
    port: env.VALIDATION_PORT,
    internal: { host: env.VALIDATION_INTERNAL_HOST, port: env.VALIDATION_INTERNAL_PORT },
    serviceTlsDirectory: env.SERVICE_TLS_DIRECTORY,
    objectStore,
    canvos: {
      repository: env.CANVOS_REPOSITORY,
      mirrorDirectory: env.CANVOS_MIRROR_DIRECTORY,
      refreshMs: env.CANVOS_REFRESH_SECONDS * 1000,
    },
    defaultArgFile: env.DEFAULT_ARG_FILE,
    allowedImages: env.ALLOWED_IMAGES,
  }
}
