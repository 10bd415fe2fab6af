import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { findArtifact, recordKey } from '@edgesmith/artifacts/artifacts'
import { leaseArtifact } from '@edgesmith/artifacts/lease'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { openMinioStore } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { projectPrefix, ProjectStores } from '@edgesmith/store/project-stores'
import { findUpload } from '@edgesmith/uploads/uploads'
import { startMinio, type MinioServer } from '../../../deploy/minio/server.ts'
import { ownProject, ownStore } from '../../../test/support/projects.ts'
import { openStage, type Stage } from '../../builds/test/redis.ts'
import { isProblem } from '../../uploads/test/temporary-store.ts'
import { deleteBuild } from '../src/delete-build.ts'
import { readPolicies, writePolicies } from '../src/policy-store.ts'
import { runRetention } from '../src/run-retention.ts'
import { identityKey } from '../src/store-identity.ts'
import { Died, dyingStore, watchedStore } from './stores.ts'
import { assertConsistent, dayMs, keysOf, makePlainBuild, makeWorld, never, settings } from './world.ts'

const trials = {
  policies: [{ name: 'trials', match: { labels: { stage: 'trial' } }, keep: { maxCount: 0 } }],
}

function broken(error: unknown): never {
  throw error
}

let stage: Stage
before(async () => {
  stage = await openStage()
})
after(() => stage[Symbol.asyncDispose]())
beforeEach(() => stage.redis.flushall())

/** Everything is as old as this by then. */
const later = () => new Date(Date.now() + 10 * dayMs)

function run(whole: ObjectStore, options: Partial<Parameters<typeof runRetention>[1]> = {}) {
  const { redis, repository } = stage
  return runRetention(
    { stores: new ProjectStores(whole), redis, repository, settings },
    { project: ownProject, dryRun: false, signal: never, now: later(), ...options },
  )
}

async function contentsOf(store: ObjectStore): Promise<[string, string][]> {
  const contents: [string, string][] = []
  for (const key of await keysOf(store)) {
    contents.push([
      key,
      createHash('sha256')
        .update(await buffer(await store.get(key)))
        .digest('hex'),
    ])
  }
  return contents
}

/** A store, and the part of it that is the project's. */
type OpenStore = () => Promise<AsyncDisposable & { whole: ObjectStore; store: ObjectStore }>

/** Counts the changes that a run makes, and what it leaves: the first two parts of each key, sorted. */
async function observeRun(open: OpenStore): Promise<{ changes: number; left: string[] }> {
  await using opened = await open()
  await stage.redis.flushall()
  await writePolicies(opened.store, trials, '"0"')
  await makeWorld({ ...stage, store: opened.store })
  let changes = 0
  await run(watchedStore(opened.whole, (count) => (changes = count)))
  return { changes, left: placesOf(await keysOf(opened.store)) }
}

/** Keys without the identifiers in them. */
function placesOf(keys: readonly string[]): string[] {
  return keys.map((key) => key.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}/g, '…')).sort()
}

function testRetention(name: string, open: OpenStore, { everyStep }: { everyStep: number }): void {
  describe(`retention, ${name}`, () => {
    it('removes what is to go, and nothing else; a dry run tells it beforehand and changes nothing', async () => {
      await using opened = await open()
      const { whole, store } = opened
      const ground = { ...stage, store }
      const { kept, doomed, used, unused } = await makeWorld(ground)
      await writePolicies(store, trials, '"0"')
      const earlier = await contentsOf(store)
      const inRedis = await stage.redis.dbsize()

      const dry = await run(whole, { dryRun: true })
      assert.deepEqual(await contentsOf(store), earlier)
      assert.equal(await stage.redis.dbsize(), inRedis)

      const report = await run(whole)
      const { startedAt: _start, endedAt: _end, ...counts } = report
      const { startedAt: _dryStart, endedAt: _dryEnd, ...dryCounts } = dry
      assert.deepEqual(counts, { ...dryCounts, dryRun: false })
      assert.deepEqual(
        [report.builds.count, report.artifacts.count, report.bases.count, report.uploads.count],
        [2, 3, 1, 2],
      )
      assert.equal(report.objects.count, 8)
      assert.ok(report.complete)

      await assertConsistent(ground)
      assert.deepEqual(await stage.repository.find(kept.id), kept)
      assert.equal(await stage.repository.find(doomed.id), undefined)
      for (const id of used) assert.ok(await findUpload(store, id))
      for (const id of unused) assert.equal(await findUpload(store, id), undefined)
      for (const { id } of doomed.artifacts) assert.equal(await findArtifact(store, id), undefined)
      const left = await keysOf(store)
      assert.deepEqual(
        left.filter((key) => key.includes(doomed.id) || key.includes('condemned')),
        [],
      )

      const again = await run(whole)
      assert.equal(again.bytes, 0)
      assert.deepEqual(await keysOf(store), left)
    })

    it('puts back what a run that died was about to remove, for a download that has just begun', async () => {
      await using opened = await open()
      const { whole, store } = opened
      const { artifacts } = await makePlainBuild({ ...stage, store }, { labels: { stage: 'trial' } })
      const id = artifacts[0]?.id ?? ''
      await writePolicies(store, trials, '"0"')
      let isDead = false
      const dying = new Proxy(whole, {
        get(target, property) {
          if (isDead) throw new Died()
          const found: unknown = Reflect.get(target, property)
          if (property !== 'remove')
            return typeof found === 'function' ? (found.bind(target) as unknown) : found
          return async (key: string) => {
            await target.remove(key)
            isDead = key === `${projectPrefix(ownProject)}${recordKey(id)}`
            if (isDead) throw new Died()
          }
        },
      })
      await assert.rejects(run(dying), Died)
      assert.equal(await findArtifact(store, id), undefined)
      await using _lease = await leaseArtifact(store, id, broken)
      await run(whole, { now: new Date() })
      assert.equal((await findArtifact(store, id))?.artifact.id, id)
    })

    it('goes on where a run died, at every step', async () => {
      const { changes, left } = await observeRun(open)
      assert.ok(changes > 30)
      for (let n = 0; n < changes; n += everyStep) {
        await using opened = await open()
        const { whole, store } = opened
        await stage.redis.flushall()
        const ground = { ...stage, store }
        await makeWorld(ground)
        await writePolicies(store, trials, '"0"')
        await assert.rejects(run(dyingStore(whole, n)), Died)
        await assertConsistent(ground)
        await run(whole)
        await run(whole)
        await assertConsistent(ground)
        assert.deepEqual(placesOf(await keysOf(store)), left, `died before change ${n}`)
      }
    })
  })
}

testRetention(
  'directory store',
  async () => {
    const root = await mkdtemp(join(tmpdir(), 'edgesmith-retention-'))
    const whole = await openDirectoryStore(root)
    return {
      ...{ whole, store: ownStore(whole) },
      [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
    }
  },
  { everyStep: 1 },
)

describe('retention, with MinIO', () => {
  let minio: MinioServer
  let dataDir: string
  let buckets = 0
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'edgesmith-retention-'))
    minio = await startMinio({ dataDir })
  })
  after(async () => {
    await minio[Symbol.asyncDispose]()
    await rm(dataDir, { recursive: true })
  })
  testRetention(
    'MinIO store',
    async () => {
      const whole = await openMinioStore({ ...minio, bucket: `bucket-${(buckets += 1)}` })
      return { whole, store: ownStore(whole), [Symbol.asyncDispose]: () => Promise.resolve() }
    },
    { everyStep: 5 },
  )
})

describe('retention', () => {
  let root: string
  let whole: ObjectStore
  let store: ObjectStore
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'edgesmith-retention-'))
    whole = await openDirectoryStore(root)
    store = ownStore(whole)
  })
  afterEach(() => rm(root, { recursive: true }))
  const all = { policies: [{ name: 'all', keep: { maxCount: 0 } }] }

  it('keeps a build while its artifact is downloaded', async () => {
    const build = await makePlainBuild({ ...stage, store })
    const [artifact] = build.artifacts
    assert.ok(artifact)
    await writePolicies(store, all, '"0"')
    const lease = await leaseArtifact(store, artifact.id, broken)
    const report = await run(whole, { now: new Date() })
    assert.equal(report.builds.count + report.artifacts.count, 0)
    assert.ok(await findArtifact(store, artifact.id))
    await stage.repository.get(build.id)
    await lease[Symbol.asyncDispose]()
    assert.equal((await run(whole, { now: new Date() })).builds.count, 1)
    assert.deepEqual(
      (await keysOf(store)).filter((key) => !key.startsWith('retention/')),
      [],
    )
  })

  it('gives an artifact its record back when a download begins while it goes', async () => {
    const build = await makePlainBuild({ ...stage, store })
    const [artifact] = build.artifacts
    assert.ok(artifact)
    await stage.repository.remove(build.id)
    const stored = await findArtifact(store, artifact.id)
    const leases: Promise<AsyncDisposable>[] = []
    const watched = new Proxy(whole, {
      get: (target, property: keyof ObjectStore) =>
        property !== 'remove'
          ? (target[property] as () => unknown).bind(target)
          : async (key: string) => {
              if (key.endsWith('artifact.json')) {
                leases.push(leaseArtifact(store, artifact.id, broken))
                await leases[0]
              }
              await target.remove(key)
            },
    })
    // So old that it counts as left behind, and the lease as one of now.
    for (const key of await keysOf(store))
      await utimes(join(root, '.objects', projectPrefix(ownProject), key), 1000, 1000)
    await run(watched, { now: new Date() })
    assert.equal(leases.length, 1)
    assert.deepEqual(await findArtifact(store, artifact.id), stored)
    assert.ok(await store.stat(`artifacts/${artifact.id}/data`))
    await (await leases[0])?.[Symbol.asyncDispose]()
  })

  it('leaves the bytes of a download to a later run when a client deletes the build', async () => {
    const build = await makePlainBuild({ ...stage, store })
    const [artifact] = build.artifacts
    assert.ok(artifact)
    await using lease = await leaseArtifact(store, artifact.id, broken)
    await deleteBuild({ ...stage, store }, build.id)
    assert.equal(await findArtifact(store, artifact.id), undefined)
    assert.ok(await store.stat(`artifacts/${artifact.id}/data`))
    await lease[Symbol.asyncDispose]()
    await run(whole)
    assert.equal(await store.stat(`artifacts/${artifact.id}/data`), undefined)
  })

  it('ends early when it is to, with no base left marked, and goes on the next time', async () => {
    const ground = { ...stage, store }
    await makeWorld(ground)
    await writePolicies(store, trials, '"0"')
    const expected = (await run(whole, { dryRun: true })).bytes
    for (let n = 1; ; n += 4) {
      const stopping = new AbortController()
      const watched = watchedStore(whole, (count) => {
        if (count === n) stopping.abort()
      })
      const report = await run(watched, { signal: stopping.signal })
      await assertConsistent(ground)
      assert.deepEqual(
        (await keysOf(store)).filter((key) => /^bases.*condemned/.test(key)),
        [],
      )
      if (report.complete) break
      assert.ok(report.bytes < expected)
    }
    assert.equal((await run(whole, { dryRun: true })).bytes, 0)
  })

  it('runs once at a time', async () => {
    await makeWorld({ ...stage, store })
    const runs = await Promise.allSettled(Array.from({ length: 5 }, () => run(whole)))
    const refused = runs.filter(({ status }) => status === 'rejected')
    assert.ok(refused.length >= 1 && refused.length <= 4)
    for (const { reason } of refused as PromiseRejectedResult[])
      assert.ok(isProblem('retention-running')(reason))
    assert.ok((await run(whole)).complete)
  })

  it('removes nothing when Redis is not the one of the store', async () => {
    await makeWorld({ ...stage, store })
    await run(whole)
    const earlier = await keysOf(store)
    await stage.redis.flushall()
    await assert.rejects(run(whole), isProblem('retention-refused'))
    await assert.rejects(run(whole, { dryRun: true }), isProblem('retention-refused'))
    assert.deepEqual(await keysOf(store), earlier)
    await whole.remove(identityKey)
    assert.ok((await run(whole)).artifacts.count > 0)
  })

  it('removes nothing when a record cannot be understood', async () => {
    await makeWorld({ ...stage, store })
    const record = (await keysOf(store)).find((key) => key.endsWith('artifact.json')) ?? ''
    await store.put(record, Buffer.from('{}'))
    const earlier = await keysOf(store)
    await assert.rejects(run(whole), /does not hold what it should/)
    assert.deepEqual(
      (await keysOf(store)).filter((key) => key !== identityKey),
      earlier,
    )
  })

  it('loses no change of the policies', async () => {
    assert.deepEqual(await readPolicies(store), { policies: { policies: [] }, etag: '"0"' })
    for (let round = 0; round < 30; round += 1) {
      const { etag } = await readPolicies(store)
      const writes = await Promise.allSettled(
        Array.from({ length: 4 }, (_, index) =>
          writePolicies(store, { policies: [{ name: `p${round}-${index}`, keep: { maxCount: 1 } }] }, etag),
        ),
      )
      const written = writes.filter((write) => write.status === 'fulfilled')
      assert.equal(written.length, 1)
      for (const write of writes) {
        if (write.status === 'rejected') assert.ok(isProblem('policies-changed')(write.reason))
      }
      assert.deepEqual(await readPolicies(store), written[0]?.value)
    }
    assert.equal((await keysOf(store)).length, 20)
  })
})
