import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { SteadyRedis } from '../../builds/test/steady-redis.ts'
import { hasIdentity, isFilled } from '../src/store-identity.ts'
import { keepWorkingCopy, recover } from '../src/working-copy.ts'

describe('A working copy', () => {
  it('tells each time that Redis came back whole, so that jobs it has lost are made at once', async () => {
    await using resources = new AsyncDisposableStack()
    const { steady, ...common } = await open(resources)
    const { redis } = common
    let told = Promise.withResolvers<undefined>()
    const copy = resources.use(
      keepWorkingCopy({
        ...common,
        listProjects: () => Promise.resolve([]),
        onWhole: () => {
          told.resolve(undefined)
        },
      }),
    )
    await copy.looked
    await told.promise
    for (const how of ['wiped', 'killed'] as const) {
      told = Promise.withResolvers()
      if (how === 'wiped') await steady.wipe()
      else {
        await steady.kill()
        await steady.start()
      }
      await told.promise
      assert.equal(await hasIdentity(redis), true, how)
    }
  })

  it('is not taken for whole when Redis lost everything once more while it was filled', async () => {
    await using resources = new AsyncDisposableStack()
    const { steady: _steady, ...common } = await open(resources)
    const { redis } = common
    const empty = async () => {
      await redis.flushall()
      return []
    }
    await assert.rejects(recover({ ...common, listProjects: empty }), /once more/)
    assert.equal(await isFilled(redis), false)
    await recover({ ...common, listProjects: () => Promise.resolve([]) })
    assert.equal(await isFilled(redis), true)
  })
})

/** A Redis and an object store, both empty. */
async function open(resources: AsyncDisposableStack) {
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-copy-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const steady = resources.use(await SteadyRedis.open(directory))
  const redis = resources.adopt(
    openRedis(steady.url, { patience: 'endless', name: 'copy', onError: () => undefined }),
    closeRedis,
  )
  const stores = new ProjectStores(await openDirectoryStore(join(directory, 'objects')))
  const error = (context: object) => assert.fail(JSON.stringify(context))
  return { steady, redis, stores, logger: { info: () => undefined, error } }
}
