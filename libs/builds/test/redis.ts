import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BuildEvents } from '@edgesmith/builds/build-events'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { createBuild } from '@edgesmith/builds/build-state'
import type { NewBuild } from '@edgesmith/builds/build-state'
import { Notifications } from '@edgesmith/builds/notifications'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import type { Build } from '@edgesmith/contract/build'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import type { Redis } from 'ioredis'
import { ownProject } from '../../../test/support/projects.ts'

/** A moment; the tests that need several add to it. */
export const at = new Date('2026-03-14T09:26:53.589Z')

export function fail(error: Error): never {
  throw error
}

export type Stage = AsyncDisposable & {
  directory: string
  url: string
  redis: Redis
  stores: ProjectStores
  /** The part of it that is the project's whose builds `newBuild` makes. */
  store: ObjectStore
  notifications: Notifications
  repository: BuildRepository
  events: BuildEvents
}

/** A real redis-server, a directory store, and the parts of this package on them. */
export async function openStage({ maxLogBytes }: { maxLogBytes?: number } = {}): Promise<Stage> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-builds-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const dataDirectory = join(directory, 'redis')
  const server = resources.use(await startRedisServer({ dataDirectory, onUnexpectedExit: fail }))
  const redis = openRedis(server.url, { patience: 'endless', name: 'test', onError: fail })
  resources.defer(() => closeRedis(redis))
  const stores = new ProjectStores(await openDirectoryStore(join(directory, 'store')))
  const store = stores.of(ownProject)
  const notifications = resources.use(new Notifications(redis, fail))
  const repository = new BuildRepository(redis)
  const events = new BuildEvents({
    redis,
    notifications,
    stores,
    ...(maxLogBytes === undefined ? {} : { maxLogBytes }),
  })
  const owned = resources.move()
  return {
    ...{ directory, url: server.url, redis, stores, store, notifications, repository, events },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The record of a new build. */
export function newBuild(fields: Partial<NewBuild> = {}): Build {
  return createBuild(
    {
      ...ownProject,
      ...{ target: 'iso', canvos: { tag: 'v4.9.36', commit: '0'.repeat(40) } },
      ...{ spec: {}, arguments: { ARCH: 'amd64' }, labels: {}, diagnostics: [] },
      ...fields,
    },
    at,
  )
}
