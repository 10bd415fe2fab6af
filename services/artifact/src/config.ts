import type { Address } from '@edgesmith/service/lifecycle'
import type { ObjectStoreConfig } from '@edgesmith/store/open-store'
import {
  clientVariables,
  forGateway,
  listenVariables,
  loggingVariables,
  objectStoreVariables,
  serviceTlsVariables,
  stopVariables,
  toObjectStoreConfig,
} from '@edgesmith/service/common-variables'
import {
  boolean,
  ConfigurationError,
  integer,
  list,
  optional,
  readEnvironment,
  text,
  url,
  type Environment,
} from '@edgesmith/service/environment'
import { originFaults } from '@edgesmith/service/cross-origin'
import { trustedProxyFaults } from '@edgesmith/service/listen-policy'

/** The environment variables of the artifact service. */
export const artifactVariables = {
  ...loggingVariables,
  ...stopVariables,
  ...listenVariables('ARTIFACT', 8083),
  ...listenVariables('ARTIFACT_INTERNAL', 8093, forGateway),
  ...serviceTlsVariables,
  ...objectStoreVariables,
  ...clientVariables,
  ARTIFACT_PUBLIC_URL: optional(
    url(['http', 'https'], {
      description:
        'Where clients reach this service, the start of every signed URL; its own address when not set.',
    }),
  ),
  TRUSTED_PROXIES: list({
    default: [],
    description:
      'Proxies whose `X-Forwarded-For` tells the client of a signed URL that is for one: addresses, networks (CIDR), `loopback`, `linklocal`, `uniquelocal`. The gateway is one, for those who download by it.',
  }),
  SIGNING_KEYS: list({
    default: [],
    secret: true,
    description:
      'Required. Keys of the signed URLs, each at least 32 characters: the first signs, all are accepted, so that a key can be replaced while its links live.',
  }),
  PROVENANCE_KEYS: list({
    default: [],
    description:
      'Files of Ed25519 keys in PEM, newest first: the first, a private one, signs provenance; the public halves of all are told. Without any there is no provenance.',
  }),
  PROVENANCE_BUILDER_ID: text({
    default: 'urn:edgesmith:builder',
    description: 'URI by which provenance names this installation, who vouches for its builds.',
  }),
  SBOM_TOOL: text({
    default: 'syft',
    description:
      'Name or path of syft, which lists the packages of images; `deploy/syft/install.sh` builds it. Without it there is no SBOM.',
  }),
  ARTIFACT_CACHE_DIRECTORY: optional(
    text({
      description:
        "Directory of this process's own where bytes of images in MinIO are kept, for they are downloaded many times; nothing is kept when not set.",
    }),
  ),
  ARTIFACT_CACHE_MIB: integer({
    default: 20_480,
    minimum: 64,
    maximum: 2 ** 30,
    description:
      'How much is kept in `ARTIFACT_CACHE_DIRECTORY`, in MiB; what was not read for the longest time is removed first. The blocks of 16 MiB that are being fetched, up to four, come on top.',
  }),
  DOWNLOAD_REDIRECT: boolean({
    default: false,
    description:
      'Whether the download of an artifact that is one whole object is redirected to MinIO, with a URL of its own that is valid for a minute. Not done for URLs that are limited to clients or in number.',
  }),
  MINIO_PUBLIC_ENDPOINT: optional(
    url(['http', 'https'], {
      description: 'Where clients reach MinIO, for `DOWNLOAD_REDIRECT`; `MINIO_ENDPOINT` when not set.',
    }),
  ),
}

/** A part of the service's own disk that keeps bytes of images. */
export type CacheConfig = { readonly directory: string; readonly maximumBytes: number }

/** Files of the keys of provenance, newest first, and the URI of who vouches for the builds. */
export type ProvenanceConfig = { readonly keyFiles: readonly string[]; readonly builderId: string }

export type ArtifactConfig = {
  readonly logLevel: string
  /** How long it takes to stop at the most; half a minute when left out. */
  readonly graceSeconds?: number
  readonly host: string
  readonly port: number
  /** Where the gateway reaches it, which alone may say who makes a request; the other address is for signed URLs. */
  readonly internal: Address
  readonly serviceTlsDirectory: string
  readonly objectStore: ObjectStoreConfig
  readonly publicUrl: string | undefined
  readonly trustedProxies: readonly string[]
  /** Origins whose pages may call the service; none when left out. */
  readonly corsOrigins?: readonly string[]
  /** Two minutes when left out. */
  readonly idleTimeoutSeconds?: number
  readonly signingKeys: readonly string[]
  /** Who signs provenance; there is none when left out. */
  readonly provenance?: ProvenanceConfig | undefined
  /** Name or path of syft; `syft` when left out. */
  readonly sbomTool?: string
  /** Where bytes of images are kept; not at all when left out. */
  readonly cache?: CacheConfig | undefined
  /** Where clients reach MinIO, when they are to be redirected to it. */
  readonly redirectEndpoint?: string | undefined
}

/** Reads the artifact service's environment. */
export function readEnv(source: NodeJS.ProcessEnv = process.env): Environment<typeof artifactVariables> {
  return readEnvironment(artifactVariables, source)
}

/** The artifact service's configuration. @throws ConfigurationError naming every fault. */
export function toConfig(env: Environment<typeof artifactVariables>): ArtifactConfig {
  const faults = [...env.faults]
  const objectStore = toObjectStoreConfig(env, faults)
  if (env.SIGNING_KEYS.length === 0)
    faults.push('SIGNING_KEYS is required; make a key with `openssl rand -hex 32`')
  if (env.SIGNING_KEYS.some((key) => key.length < 32)) {
    faults.push('SIGNING_KEYS has a key of less than 32 characters; make one with `openssl rand -hex 32`')
  }
  if (!URL.canParse(env.PROVENANCE_BUILDER_ID)) faults.push('PROVENANCE_BUILDER_ID is not a URI')
  faults.push(...originFaults('CORS_ORIGINS', env.CORS_ORIGINS))
  faults.push(...trustedProxyFaults('TRUSTED_PROXIES', env.TRUSTED_PROXIES))
  if (env.DOWNLOAD_REDIRECT && objectStore.kind !== 'minio') {
    faults.push('DOWNLOAD_REDIRECT needs OBJECT_STORE=minio')
  }
  const { ARTIFACT_CACHE_DIRECTORY: cacheDirectory, ARTIFACT_CACHE_MIB: cacheMiB } = env
  if (faults.length > 0) throw new ConfigurationError(faults)
  return {
    logLevel: env.LOG_LEVEL,
    graceSeconds: env.GRACE_SECONDS,
    host: env.ARTIFACT_HOST,
    port: env.ARTIFACT_PORT,
    internal: { host: env.ARTIFACT_INTERNAL_HOST, port: env.ARTIFACT_INTERNAL_PORT },
    serviceTlsDirectory: env.SERVICE_TLS_DIRECTORY,
    objectStore,
    publicUrl: env.ARTIFACT_PUBLIC_URL,
    trustedProxies: env.TRUSTED_PROXIES,
    corsOrigins: env.CORS_ORIGINS,
    idleTimeoutSeconds: env.IDLE_TIMEOUT_SECONDS,
    signingKeys: env.SIGNING_KEYS,
    provenance:
      env.PROVENANCE_KEYS.length === 0
        ? undefined
        : { keyFiles: env.PROVENANCE_KEYS, builderId: env.PROVENANCE_BUILDER_ID },
    sbomTool: env.SBOM_TOOL,
    // The objects of a directory lie on a disk of this machine already.
    cache:
      cacheDirectory === undefined || objectStore.kind === 'directory'
        ? undefined
        : { directory: cacheDirectory, maximumBytes: cacheMiB * 1024 ** 2 },
    redirectEndpoint: env.DOWNLOAD_REDIRECT ? (env.MINIO_PUBLIC_ENDPOINT ?? env.MINIO_ENDPOINT) : undefined,
  }
}
