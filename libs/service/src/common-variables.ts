import type { ObjectStoreConfig } from '@edgesmith/store/open-store'
import { defaultGraceSeconds } from './grace-period.ts'
import { choice, integer, list, optional, text, url, type Environment } from './environment.ts'

/** Variables that several services read under the same names. */
export const loggingVariables = {
  LOG_LEVEL: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent'], {
    default: 'info',
    description: 'Least level of the log lines written to standard output.',
  }),
}

/** How a service stops. */
export const stopVariables = {
  GRACE_SECONDS: integer({
    default: defaultGraceSeconds,
    minimum: 10,
    maximum: 3600,
    description:
      'How long the service takes to stop at the most, in seconds. Requests under way are cut off 5 seconds before. Give whoever stops it, such as `docker stop`, a little more.',
  }),
}

/** Where the queue and the state of builds live. */
export const redisVariables = {
  REDIS_URL: text({
    default: 'redis://127.0.0.1:6379',
    secret: true,
    description: 'Redis server: `redis://`, `rediss://` or the path of a Unix socket.',
  }),
}

/** Where uploads and artifacts live. */
export const objectStoreVariables = {
  OBJECT_STORE: choice(['minio', 'directory'], {
    default: 'minio',
    description: 'Kind of object store.',
  }),
  OBJECT_DIRECTORY: optional(
    text({ description: 'Directory of the objects, for `OBJECT_STORE=directory`.' }),
  ),
  MINIO_ENDPOINT: url(['http', 'https'], {
    default: 'http://127.0.0.1:9000',
    description: 'MinIO or another S3-compatible server.',
  }),
  MINIO_ACCESS_KEY: optional(text({ secret: true, description: 'Access key of the object store.' })),
  MINIO_SECRET_KEY: optional(text({ secret: true, description: 'Secret key of the object store.' })),
  MINIO_BUCKET: text({ default: 'edgesmith', description: 'Bucket; made when it does not exist.' }),
  STORE_PATIENCE_SECONDS: integer({
    default: 180,
    minimum: 0,
    maximum: 86_400,
    description:
      'How long uploads, downloads that have begun, builds and the start of a service wait for a MinIO that is away, in seconds; other requests fail within seconds.',
  }),
}

/** How clients from outside are treated. */
export const clientVariables = {
  CORS_ORIGINS: list({
    default: [],
    description:
      'Origins whose pages browsers let call the API and read its answers, each exactly as browsers send it, like `https://portal.example`; none unless set.',
  }),
  IDLE_TIMEOUT_SECONDS: integer({
    default: 120,
    minimum: 1,
    maximum: 3600,
    description:
      'Time after which a client is cut off that is waited for and neither sends nor reads, or fewer than 100 bytes for each second of it, in seconds.',
  }),
}

/** Which CanvOS is built. */
export const canvosVariables = {
  CANVOS_REPOSITORY: text({
    default: 'https://github.com/spectrocloud/CanvOS.git',
    description: 'Git repository of CanvOS: a URL or a local path.',
  }),
  CANVOS_MIRROR_DIRECTORY: text({
    default: '.edgesmith/canvos.git',
    description: 'Directory of the local bare mirror of the repository.',
  }),
  CANVOS_REFRESH_SECONDS: integer({
    default: 300,
    minimum: 0,
    maximum: 86_400,
    description: 'Age, in seconds, after which the mirror asks the repository for new tags.',
  }),
}

/** Who is listened for at the address that other services call. */
export const forGateway = ' for the gateway, by mutual TLS'

/** By what the services that call each other know each other. */
export const serviceTlsVariables = {
  SERVICE_TLS_DIRECTORY: text({
    description:
      "Directory of `ca.pem`, `cert.pem` and `key.pem`, the service's own, by which the services know each other: `docs/service-tls.md`. Read again as the files change.",
  }),
}

/** The address a service listens on, under a prefix of its own; `whom` it is for, where that is not everybody. */
export function listenVariables<const Prefix extends string>(
  prefix: Prefix,
  port: number,
  whom = '',
): Record<`${Prefix}_HOST`, ReturnType<typeof text>> & Record<`${Prefix}_PORT`, ReturnType<typeof integer>> {
  return {
    [`${prefix}_HOST`]: text({ default: '127.0.0.1', description: `Address to listen on${whom}.` }),
    [`${prefix}_PORT`]: integer({
      default: port,
      minimum: 0,
      maximum: 65_535,
      description: `Port to listen on${whom}; 0 takes a free one.`,
    }),
  } as Record<`${Prefix}_HOST`, ReturnType<typeof text>> &
    Record<`${Prefix}_PORT`, ReturnType<typeof integer>>
}

/** The object store that the environment names; what is missing for it is added to `faults`. */
export function toObjectStoreConfig(
  environment: Environment<typeof objectStoreVariables>,
  faults: string[],
): ObjectStoreConfig {
  if (environment.OBJECT_STORE === 'directory') {
    if (environment.OBJECT_DIRECTORY === undefined) {
      faults.push('OBJECT_DIRECTORY is required with OBJECT_STORE=directory')
    }
    return { kind: 'directory', directory: environment.OBJECT_DIRECTORY ?? '' }
  }
  for (const name of ['MINIO_ACCESS_KEY', 'MINIO_SECRET_KEY'] as const) {
    if (environment[name] === undefined) faults.push(`${name} is required with OBJECT_STORE=minio`)
  }
  return {
    kind: 'minio',
    endpoint: environment.MINIO_ENDPOINT,
    accessKey: environment.MINIO_ACCESS_KEY ?? '',
    secretKey: environment.MINIO_SECRET_KEY ?? '',
    bucket: environment.MINIO_BUCKET,
    patienceMs: environment.STORE_PATIENCE_SECONDS * 1000,
  }
}
