import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { openStore } from '@edgesmith/store/open-store'
import type { ObjectStoreConfig } from '@edgesmith/store/open-store'
import { startMinio } from '../../../deploy/minio/server.ts'
import { operatorKey } from '../../../test/support/as-operator.ts'
import { ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'

/** A gateway in a process of its own. */
export type GatewayProcess = AsyncDisposable & {
  readonly url: string
  readonly pid: number
  /** The lines that it wrote so far. */
  readonly log: readonly string[]
  /** Ends it without a chance to put anything in order. */
  readonly kill: () => Promise<void>
}

/** What gateways work on: a Redis and an object store, which outlive them. */
export type Ground = AsyncDisposable & {
  readonly whole: ObjectStore
  /** The part of the project that requests act in unless they say another. */
  readonly store: ObjectStore
  readonly redisUrl: string
  readonly objectStore: ObjectStoreConfig
  /** Starts a gateway as a process of its own. */
  readonly startGateway: (env?: Record<string, string | undefined>) => Promise<GatewayProcess>
}

/** Starts a Redis, and MinIO where that is to be the store. */
export async function startGround(kind: ObjectStoreConfig['kind']): Promise<Ground> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-gateway-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const redis = resources.use(
    await startRedisServer({
      dataDirectory: path.join(directory, 'redis'),
      onUnexpectedExit: (error) => {
        throw error
      },
    }),
  )
  let objectStore: ObjectStoreConfig = { kind: 'directory', directory: path.join(directory, 'objects') }
  let storeEnv: Record<string, string> = {
    OBJECT_STORE: 'directory',
    OBJECT_DIRECTORY: objectStore.directory,
  }
  if (kind === 'minio') {
    const minio = resources.use(await startMinio({ dataDir: path.join(directory, 'minio') }))
    const { endpoint, accessKey, secretKey } = minio
    objectStore = { kind, endpoint, accessKey, secretKey, bucket: 'edgesmith' }
    storeEnv = {
      OBJECT_STORE: 'minio',
      MINIO_ENDPOINT: endpoint,
      MINIO_ACCESS_KEY: accessKey,
      MINIO_SECRET_KEY: secretKey,
    }
  }
  const whole = await openStore(objectStore)
  const opened = resources.move()
  return {
    ...{ whole, store: ownStore(whole), redisUrl: redis.url, objectStore },
    startGateway: (env = {}) =>
      spawnGateway({ GATEWAY_PORT: '0', REDIS_URL: redis.url, ...storeEnv, ...env }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** The keys of all objects but tenants, API keys and audit records. */
export async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys = (await Array.fromAsync(store.list(''))).map(({ key }) => key)
  return keys.filter((key) => !/^(identity|audit)\//.test(key))
}

const main = path.join(import.meta.dirname, '../src/main.ts')

/** Starts a gateway as a process of its own, with these variables over those of this process, or without them. */
export async function spawnGateway(env: Record<string, string | undefined>): Promise<GatewayProcess> {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', process.execPath, main], {
    env: {
      ...process.env,
      LOG_LEVEL: 'info',
      BOOTSTRAP_API_KEY: operatorKey,
      SERVICE_TLS_DIRECTORY: tlsDirectoryOf('gateway'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error('setpriv cannot be run.')
  const ended = once(child, 'close')
  const stop = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    await ended
  }
  const listening = Promise.withResolvers<string>()
  const log: string[] = []
  createInterface(child.stdout).on('line', (line) => {
    log.push(line)
    const url = /"Listening on ([^"]+)"/.exec(line)?.[1]
    if (url !== undefined) listening.resolve(url)
  })
  const url = await Promise.race([
    listening.promise,
    ended.then(() => {
      throw new Error('The gateway ended instead of listening.')
    }),
  ])
  return { url, pid, log, kill: () => stop('SIGKILL'), [Symbol.asyncDispose]: () => stop('SIGTERM') }
}
