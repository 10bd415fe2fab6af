import assert from 'node:assert/strict'
import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import { ensureDefaultTenant } from '@edgesmith/identity/tenants'
import { createLogger } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { projectPrefix, ProjectStores } from '@edgesmith/store/project-stores'
import { ownProject } from '../../../test/support/projects.ts'
import { keepRetaining } from '../src/retention-job.ts'

function fail(error: Error): never {
  throw error
}

describe('the retention of the builders', () => {
  it('runs in one of them whenever it is due', { timeout: 60_000 }, async () => {
    await using stack = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-retention-'))
    stack.defer(() => rm(directory, { recursive: true, force: true }))
    const server = stack.use(
      await startRedisServer({ dataDirectory: join(directory, 'redis'), onUnexpectedExit: fail }),
    )
    const redis = stack.adopt(
      openRedis(server.url, { patience: 'endless', name: 'test', onError: fail }),
      closeRedis,
    )
    const stores = new ProjectStores(await openDirectoryStore(join(directory, 'objects')))
    await ensureDefaultTenant(stores.whole)
    const store = stores.of(ownProject)
    const leave = async (key: string) => {
      await store.put(key, Buffer.from('left'))
      await utimes(join(directory, 'objects', '.objects', projectPrefix(ownProject), key), 1000, 1000)
    }
    const gone = async (key: string) => {
      while ((await store.stat(key)) !== undefined) await setTimeout(20)
    }
    const parts = {
      ...{ stores, redis, repository: new BuildRepository(redis) },
      settings: { uploadUnusedMs: 86_400_000, baseUnusedMs: 86_400_000 },
      logger: createLogger('test', 'silent'),
    }

    await leave('uploads/data/first')
    {
      await using _one = keepRetaining({ ...parts, intervalSeconds: 3600 })
      await gone('uploads/data/first')
    }
    // It has run: it is not due for an hour, for any worker.
    await leave('uploads/data/second')
    {
      await using _other = keepRetaining({ ...parts, intervalSeconds: 3600 })
    }
    assert.ok(await store.stat('uploads/data/second'))
    await redis.del('edgesmith:project:default/default:retention-turn')
    await using _often = keepRetaining({ ...parts, intervalSeconds: 1 })
    await gone('uploads/data/second')
    await leave('uploads/data/third')
    await gone('uploads/data/third')
  })
})
